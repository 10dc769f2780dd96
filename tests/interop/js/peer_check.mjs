// Checks one of the server peers (js/server.mjs, python/server.py) with the JavaScript client.
//
//     node peer_check.mjs --url ws://… --protocol P [--challenge]

import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'
import { Client, Closed } from './client.mjs'
import { codecNamed, TYPES } from './codecs.mjs'
import { sleep } from './wait.mjs'

const { values } = parseArgs({
  options: { url: { type: 'string' }, protocol: { type: 'string' }, challenge: { type: 'boolean', default: false } },
})
const codec = codecNamed(values.protocol)
const solve = values.challenge ? ({ a, b }) => a + b : undefined
const connect = (options) => Client.connect(values.url, codec, { solve, ...options })
const closedWith = (code, reason) => (error) =>
  error instanceof Closed && error.code === code && error.reason === reason

const checks = {
  async 'welcome and cid'() {
    const client = await connect({ meta: { user_id: 7, x: [1, null] } })
    assert.deepEqual(client.welcome, { hey: 'some additional data for the client' })
    assert.deepEqual(await client.call('whoami'), { cid: '7', meta: { user_id: 7, x: [1, null] } })
    assert.match((await (await connect({})).call('whoami')).cid, /^user-\d+$/)
  },
  async refusal() {
    await assert.rejects(connect({ identity: 'wrong' }), closedWith(1000, 'wse.not-authorized'))
    if (solve) await assert.rejects(connect({ solve: () => 4 }), closedWith(1000, 'wse.not-authorized'))
  },
  async violation() {
    const client = new Client(values.url, codec)
    await client.open()
    client.send('count', { count: 1 })
    assert.deepEqual(await client.end(), { code: 1000, reason: 'wse.protocol-error' })
  },
  async eviction() {
    const first = await connect({ meta: { user_id: 'twice' } })
    await connect({ meta: { user_id: 'twice' } })
    assert.deepEqual(await first.end(), { code: 1000, reason: 'wse.clients-concurrency' })
  },
  async calls() {
    const client = await connect()
    assert.equal(await client.call('add', { a: 2, b: 3 }), 5)
    for (const value of [null, 0, -1, 1.5, 'né 😀', true, [], {}, { a: [{ b: null }] }, 2 ** 40]) {
      assert.deepEqual(await client.call('echo', value), value)
    }
    assert.equal(await client.call('nothing'), null)
    const order = []
    await Promise.all([80, 0].map((ms) => client.call('slow', { ms }).then(() => order.push(ms))))
    assert.deepEqual(order, [0, 80])
  },
  async 'byte strings'() {
    if (values.protocol !== 'cbor') return
    assert.deepEqual(Buffer.from(await (await connect()).call('echo', Buffer.from([0, 255]))), Buffer.from([0, 255]))
  },
  async faults() {
    const client = await connect()
    await assert.rejects(client.call('no-such'), { code: 'wse.server.rp.not-registered' })
    await assert.rejects(client.call('throw', { x: 1 }), ({ code, fault, details }) => {
      assert.deepEqual([code, fault.message], ['wse.server.rp.failed', 'Vanilla error'])
      assert.deepEqual([details.origin.message, details.rpc, details.payload], ['Vanilla error', 'throw', { x: 1 }])
      return true
    })
    await assert.rejects(client.call('throw-wse', 1), ({ code, details }) => {
      assert.deepEqual([code, details], ['test-err-code', { fun: 1, rpc: 'throw-wse', payload: 1 }])
      return true
    })
  },
  async 'calls of the server'() {
    const client = await connect()
    client.register('echo', (payload) => payload)
    client.register('fail', () => Promise.reject({ code: 'mine', details: { why: 1 } }))
    client.register('silent', () => Client.SILENT)
    assert.deepEqual(await client.call('call-me', { rp: 'echo', payload: [1] }), { ok: [1] })
    const { err } = await client.call('call-me', { rp: 'fail' })
    assert.deepEqual([err.code, err.details], ['mine', { why: 1 }])
    assert.equal((await client.call('call-me', { rp: 'none' })).err.code, 'wse.server.rp.not-registered')
    assert.equal((await client.call('call-me', { rp: 'silent', timeout: 50 })).err.code, 'wse.client.rp.timeout')
  },
  async 'late and stray replies'() {
    const client = await connect()
    await assert.rejects(client.call('late', { ms: 60 }, { timeout: 20 }), { code: 'wse.client.rp.timeout' })
    await sleep(80)
    assert.equal(client.count(TYPES.response), 1)
    assert.equal(await client.call('stray', 5), 5)
    assert.equal(await client.call('received'), solve ? 5 : 4, 'a stray reply was answered')
  },
  async 'kick and vanish'() {
    const kicked = await connect()
    const outcome = kicked.call('kick', { code: 4123, reason: 'out' })
    await assert.rejects(outcome, ({ details }) => details.disconnected.join() === '4123,out')
    const left = await connect()
    await assert.rejects(left.call('vanish'), ({ details }) => details.disconnected[0] === 1006)
  },
  async 'count and announce'() {
    const [one, two] = [await connect(), await connect()]
    one.send('count', { count: 41 })
    assert.deepEqual(await one.take('count'), { count: 42 })
    one.send('announce', { news: 1 })
    assert.deepEqual([await one.take('announce'), await two.take('announce')], [{ news: 1 }, { news: 1 }])
    assert.ok((await one.call('announce', null)) >= 2)
  },
}

let failed = 0
for (const [name, check] of Object.entries(checks)) {
  const error = await check().then(
    () => null,
    (problem) => problem,
  )
  failed += error ? 1 : 0
  console.log(`${error ? 'not ok' : 'ok'} - ${values.protocol}: ${name}${error ? `: ${error.message}` : ''}`)
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`)
process.exit(failed ? 1 : 0)
