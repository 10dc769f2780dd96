// Before the first message: subprotocol, paths, ports.

import assert from 'node:assert/strict'
import { assertEnd, Server, VIOLATION } from '../bench.mjs'
import { Client } from '../client.mjs'
import { RawSocket } from '../raw.mjs'

const subprotocol = 'sec-websocket-protocol'

/** Either the upgrade was refused, or it was done without a subprotocol and closed as a violation. */
async function turnedAway(raw) {
  if (raw.status !== 101) return assert.ok(raw.status === 0 || raw.status >= 400, `answered ${raw.status}`)
  assert.equal(raw.headers[subprotocol], undefined, 'selected what was not offered')
  assertEnd(await raw.end(), VIOLATION)
}

async function get(url, path) {
  const answer = await fetch(new URL(path, url.replace(/^ws/, 'http')), { signal: AbortSignal.timeout(4000) })
  return [answer.status, await answer.text()]
}

const upgrade = (codec) => ({
  'its subprotocol is selected': async (bench) => {
    const client = await bench.client()
    assert.equal(client.ws.protocol, codec.name)
  },
  'its subprotocol is selected among others': async (bench) => {
    for (const offer of [
      ['chat', codec.name],
      [codec.name, 'chat'],
      ['a', 'b', codec.name, 'c'],
    ]) {
      const client = await bench.client(bench.user(), { offer })
      assert.equal(client.ws.protocol, codec.name)
    }
  },
  'it is found in a header on two lines': async (bench) => {
    const raw = await bench.raw({ offer: ['chat'], extra: [`Sec-WebSocket-Protocol: ${codec.name}`] })
    assert.equal(raw.status, 101)
    assert.equal(raw.headers[subprotocol], codec.name)
  },
  'no subprotocol offered': async (bench) => {
    await turnedAway(await bench.raw({ offer: [] }))
    await bench.served()
  },
  'another subprotocol offered': async (bench) => {
    await turnedAway(await bench.raw({ offer: ['something-else'] }))
    await turnedAway(await bench.raw({ offer: [`${codec.name}-2`, 'wse'] }))
    await bench.served()
  },
  'any path is accepted': async (bench) => {
    const client = await bench.client(bench.user(), { url: `${bench.url}/some/where?x=1` })
    assert.equal(await client.call('add', { a: 1, b: 1 }), 2)
  },
  'garbage instead of HTTP disturbs nobody': async (bench) => {
    const sockets = ['\x16\x03\x01\x02\x00\x01\x00', 'GET\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n', '\r\n\r\n\r\n'].map(
      (text) => {
        const raw = new RawSocket(bench.url)
        raw.write(text)
        return raw
      },
    )
    await bench.served()
    for (const raw of sockets) raw.destroy()
    await bench.served()
  },
  'the port is free at once after a kill': async (bench) => {
    const port = new URL(bench.url).port
    const flags = ['--protocol', bench.protocol, '--addr']
    const first = await Server.start(bench.program, [...flags, '127.0.0.1:0'])
    const address = new URL(first.url).host
    assert.notEqual(address, `127.0.0.1:${port}`)
    await Client.connect(first.url, codec)
    await first.stop()
    const second = await Server.start(bench.program, [...flags, address])
    try {
      assert.equal(new URL(second.url).host, address)
      const client = await Client.connect(second.url, codec)
      client.vanish()
    } finally {
      await second.stop()
    }
  },
})

const paths = (codec) => ({
  '/health answers ok': async ({ url }) => {
    assert.deepEqual(await get(url, '/health'), [200, 'ok'])
  },
  'each path is a server of its own': async (bench) => {
    const cid = bench.user()
    const a = await bench.client(cid, { url: `${bench.url}/a`, meta: { side: 'a' } })
    const b = await bench.client(cid, { url: `${bench.url}/b`, meta: { side: 'b' } })
    assert.deepEqual(await a.call('clients'), [{ cid, conns: 1 }])
    assert.deepEqual(await b.call('clients'), [{ cid, conns: 1 }])
    assert.equal(await a.call('broadcast', { type: 'news', payload: 1 }), 1)
    assert.equal(await a.take('news'), 1)
    assert.equal(await b.call('add', { a: 1, b: 2 }), 3)
    assert.equal(b.count('news'), 0)
    for (const [client, side] of [
      [a, 'a'],
      [b, 'b'],
    ]) {
      const joined = (await client.call('events', {})).filter((event) => event.event === 'joined')
      assert.deepEqual(
        joined.map((event) => event.meta.side),
        [side],
      )
    }
    assert.equal(
      (await a.call('call-user', { cid: 'nobody', rp: 'x' })).err.code,
      'wse.server.client.connection-missing',
    )
  },
  'any other path is refused before the upgrade': async (bench) => {
    for (const path of ['/', '/c', '/a/b', '/health']) {
      const raw = await bench.raw({ path })
      assert.ok(raw.status === 0 || raw.status >= 400, `${path} answered ${raw.status}`)
    }
  },
  'a plain request is no upgrade': async ({ url }) => {
    for (const path of ['/a', '/nowhere']) {
      const [status] = await get(url, path)
      assert.ok(status >= 400 && status < 500, `${path} answered ${status}`)
    }
    assert.deepEqual(await get(url, '/health'), [200, 'ok'])
  },
  'the subprotocol rules hold on paths': async (bench) => {
    await turnedAway(await bench.raw({ path: '/a', offer: [] }))
    await turnedAway(await bench.raw({ path: '/a', offer: ['something-else'] }))
    const client = await bench.client(bench.user(), { url: `${bench.url}/a`, offer: ['x', codec.name] })
    assert.equal(client.ws.protocol, codec.name)
  },
})

export const groups = (codec) => [
  { title: 'upgrade', checks: upgrade(codec) },
  { title: 'paths', flags: ['--path', '/a', '--path', '/b'], checks: paths(codec) },
]
