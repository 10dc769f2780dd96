// The server calls procedures of the client; replies that nobody waits for.

import assert from 'node:assert/strict'
import { Client } from '../client.mjs'
import { TYPES } from '../codecs.mjs'
import { sleep } from '../wait.mjs'

const LIMIT = 700

const checks = {
  'the client answers': async (bench) => {
    const client = await bench.client()
    client.register('multiply', ({ a, b }) => a * b)
    assert.deepEqual(await client.call('call-me', { rp: 'multiply', payload: { a: 6, b: 7 } }), { ok: 42 })
  },
  'any value goes there and back': async (bench) => {
    const client = await bench.client()
    client.register('echo', (payload) => payload)
    for (const payload of [null, 0, '', 'né 😀', [1, null], { a: { b: [] } }, true]) {
      assert.deepEqual(await client.call('call-me', { rp: 'echo', payload }), { ok: payload })
    }
    assert.deepEqual(await client.call('call-me', { rp: 'echo' }), { ok: null })
  },
  'the stamp of the server is a text, new for each call': async (bench) => {
    const client = await bench.client()
    client.register('stamp', (_, stamp) => stamp)
    const calls = Array.from({ length: 20 }, () => client.call('call-me', { rp: 'stamp' }))
    const stamps = (await Promise.all(calls)).map(({ ok }) => ok)
    assert.ok(
      stamps.every((stamp) => typeof stamp === 'string' && stamp !== ''),
      stamps[0],
    )
    assert.equal(new Set(stamps).size, 20)
  },
  'the fault of the client arrives': async (bench) => {
    const client = await bench.client()
    client.register('fail', () => Promise.reject({ code: 'my-code', message: 'no', details: { why: [1] } }))
    const { err } = await client.call('call-me', { rp: 'fail', payload: 1 })
    assert.equal(err.code, 'my-code')
    assert.deepEqual(err.details.why, [1])
  },
  'a fault without details, or without anything': async (bench) => {
    const client = await bench.client()
    client.register('fail', (_, stamp) => {
      client.refuse(stamp, { code: 'bare' })
      return Client.SILENT
    })
    client.register('empty', (_, stamp) => {
      client.refuse(stamp, null)
      return Client.SILENT
    })
    assert.equal((await client.call('call-me', { rp: 'fail' })).err.code, 'bare')
    assert.ok((await client.call('call-me', { rp: 'empty' })).err, 'an empty fault is a fault')
    await bench.served()
  },
  'an unknown procedure of the client': async (bench) => {
    const client = await bench.client()
    const { err } = await client.call('call-me', { rp: 'no-such', payload: 1 })
    assert.equal(err.code, 'wse.server.rp.not-registered')
  },
  'the procedure may call back before it answers': async (bench) => {
    const client = await bench.client()
    client.register('ask-back', async ({ n }) => 1 + (await client.call('add', { a: n, b: n })))
    assert.deepEqual(await client.call('call-me', { rp: 'ask-back', payload: { n: 5 } }), { ok: 11 })
  },
  'calls may nest both ways': async (bench) => {
    const client = await bench.client()
    client.register('down', async ({ n }) => {
      if (n === 0) return 0
      const { ok } = await client.call('call-me', { rp: 'down', payload: { n: n - 1 } })
      return ok + 1
    })
    assert.deepEqual(await client.call('call-me', { rp: 'down', payload: { n: 6 } }), { ok: 6 })
  },
  'answers in another order find their calls': async (bench) => {
    const client = await bench.client()
    client.register('later', async ({ n }) => {
      await sleep(120 - n * 20)
      return n
    })
    const numbers = [0, 1, 2, 3, 4, 5]
    const answers = await Promise.all(numbers.map((n) => client.call('call-me', { rp: 'later', payload: { n } })))
    assert.deepEqual(
      answers,
      numbers.map((n) => ({ ok: n })),
    )
  },
  'no answer in time fails the call, and the late one is dropped': async (bench) => {
    const client = await bench.client()
    let stamp
    client.register('sleep', (_, given) => {
      stamp = given
      return Client.SILENT
    })
    const start = Date.now()
    const { err } = await client.call('call-me', { rp: 'sleep' })
    const took = Date.now() - start
    assert.equal(err.code, 'wse.client.rp.timeout')
    assert.ok(took >= LIMIT - 20 && took < LIMIT + 800, `after ${took} ms`)
    const before = client.received.length
    client.answer(stamp, 'late')
    client.refuse(stamp, { code: 'late' })
    assert.equal(await client.call('add', { a: 1, b: 2 }), 3)
    await sleep(50)
    assert.equal(client.received.length, before + 1, 'the late answer was answered')
  },
  'the second answer to one call is dropped': async (bench) => {
    const client = await bench.client()
    client.register('twice', (_, stamp) => {
      client.answer(stamp, 'first')
      client.answer(stamp, 'second')
      client.refuse(stamp, { code: 'third' })
      return Client.SILENT
    })
    assert.deepEqual(await client.call('call-me', { rp: 'twice' }), { ok: 'first' })
    assert.equal(await client.call('add', { a: 1, b: 2 }), 3)
    await sleep(30)
    assert.equal(client.received.length, 4, 'welcome, call, and two answers')
  },
  'unmatched replies are dropped without a word': async (bench) => {
    const client = await bench.client()
    const before = client.received.length
    for (let n = 0; n < 300; n += 1) {
      client.answer(`unknown-${n}`, n)
      client.refuse(`unknown-${n}`, { code: 'x' })
    }
    client.refuse('unknown', null)
    assert.equal(await client.call('add', { a: 1, b: 2 }), 3)
    await sleep(50)
    assert.equal(client.received.length, before + 1, 'replies were answered')
    await bench.served()
  },
  'a reply with the stamp of an own call is not taken for its answer': async (bench) => {
    const client = await bench.client()
    const stamp = 'same-stamp'
    const answer = client.call('double', { value: 4 }, { stamp })
    client.answer(stamp, 'mine')
    assert.equal(await answer, 8)
  },
  'a call to a client that leaves fails at once with code and reason': async (bench) => {
    const [caller, called] = [await bench.client(), await bench.client()]
    called.register('wait', () => {
      called.close(4321, 'had to go')
      return Client.SILENT
    })
    const start = Date.now()
    const { err } = await caller.call('call-user', { cid: called.cid, rp: 'wait' })
    assert.ok(Date.now() - start < LIMIT - 50, `after ${Date.now() - start} ms`)
    assert.equal(err.code, 'wse.client.rp.disconnect')
    assert.deepEqual(err.details.disconnected, [4321, 'had to go'])
  },
  'a call to a client that vanishes fails at once with 1006': async (bench) => {
    const [caller, called] = [await bench.client(), await bench.client()]
    called.register('wait', () => {
      called.vanish()
      return Client.SILENT
    })
    const { err } = await caller.call('call-user', { cid: called.cid, rp: 'wait' })
    assert.equal(err.code, 'wse.client.rp.disconnect')
    assert.deepEqual(err.details.disconnected, [1006, ''])
  },
  'another connection that ends does not end the call': async (bench) => {
    const [caller, called, other] = [await bench.client(), await bench.client(), await bench.client()]
    called.register('wait', async () => {
      await other.close(1000, '')
      await bench.event({ event: 'left', cid: other.cid })
      return 'still here'
    })
    assert.deepEqual(await caller.call('call-user', { cid: called.cid, rp: 'wait' }), { ok: 'still here' })
  },
  'a call waiting for a lost client does not hold up its caller': async (bench) => {
    const [caller, called] = [await bench.client(), await bench.client()]
    called.register('wait', () => Client.SILENT)
    const waiting = caller.call('call-user', { cid: called.cid, rp: 'wait' })
    assert.equal(await caller.call('add', { a: 1, b: 2 }), 3)
    assert.equal((await waiting).err.code, 'wse.client.rp.timeout')
    assert.equal(called.count(TYPES.fault), 0)
  },
}

export const groups = () => [{ title: 'both ways', flags: ['--call-timeout', String(LIMIT / 1000)], checks }]
