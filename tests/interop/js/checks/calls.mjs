// Procedures of the server, called by the client.

import assert from 'node:assert/strict'
import { assertEnd, faultOf } from '../bench.mjs'
import { newStamp } from '../client.mjs'
import { TYPES } from '../codecs.mjs'
import { sleep } from '../wait.mjs'

const FAILED = 'wse.server.rp.failed'

const procedures = (binary) => ({
  'add adds': async (bench) => {
    const client = await bench.client()
    for (const [a, b, sum] of [
      [1, 2, 3],
      [-5, 5, 0],
      [0.5, 0.25, 0.75],
      [2 ** 40, 1, 2 ** 40 + 1],
      [-1, -2, -3],
    ]) {
      assert.equal(await client.call('add', { a, b }), sum)
    }
  },
  'add refuses what is no number': async (bench) => {
    const client = await bench.client()
    for (const payload of [{ a: 1, b: 'x' }, { a: 1 }, { a: null, b: 2 }, {}, [1, 2], 'text']) {
      const { code, details } = await faultOf(client.call('add', payload))
      assert.equal(code, FAILED)
      assert.equal(details.rpc, 'add')
      assert.deepEqual(details.payload, payload)
      assert.deepEqual([typeof details.origin.name, typeof details.origin.message], ['string', 'string'])
    }
    const { code, details } = await faultOf(client.call('add', null))
    assert.deepEqual([code, details.rpc], [FAILED, 'add'])
    assert.ok(!Object.hasOwn(details, 'payload'), 'null was sent, so there is no payload to repeat')
  },
  'echo returns any value unchanged': async (bench) => {
    const client = await bench.client()
    const values = [
      null,
      true,
      false,
      0,
      1,
      -1,
      23,
      24,
      255,
      256,
      65536,
      -129,
      2 ** 31,
      2 ** 32,
      2 ** 53 - 1,
      -(2 ** 53) + 1,
      0.1,
      -1e300,
      5e-324,
      '',
      'x',
      'né Ω 😀 \u0000 "\\/ \u2028',
      [],
      [[]],
      {},
      { a: {} },
      [1, [2, [3, [null]]]],
      { '': 0 },
      { 'key with ä': [true, { b: 'c' }] },
      'y'.repeat(70_000),
      Array.from({ length: 1000 }, (_, n) => n),
    ]
    for (const value of values) assert.deepEqual(await client.call('echo', value), value)
  },
  ...(binary && {
    'echo returns byte strings unchanged': async (bench) => {
      const client = await bench.client()
      for (const value of [Buffer.alloc(0), Buffer.from([0, 255, 128]), Buffer.alloc(300, 7)]) {
        assert.deepEqual(Buffer.from(await client.call('echo', value)), value)
        const { deep } = await client.call('echo', { deep: [value] })
        assert.deepEqual(Buffer.from(deep[0]), value)
      }
    },
  }),
  'almost 16 MiB come back': async (bench) => {
    const client = await bench.client()
    const text = '0123456789abcdef'.repeat(2 ** 20 - 64)
    assert.ok((await client.call('echo', text, { timeout: 10_000 })) === text, 'another text came back')
  },
  'nothing answers null': async (bench) => {
    const client = await bench.client()
    assert.equal(await client.call('nothing', { x: 1 }), null)
    assert.equal(await client.call('nothing'), null)
  },
  'double waits and doubles': async (bench) => {
    const client = await bench.client()
    const start = Date.now()
    assert.equal(await client.call('double', { value: 21 }), 42)
    assert.ok(Date.now() - start >= 95, `answered after ${Date.now() - start} ms`)
  },
  'throw-vanilla': async (bench) => {
    const client = await bench.client()
    const { code, details } = await faultOf(client.call('throw-vanilla', { x: [1] }))
    assert.equal(code, FAILED)
    assert.equal(details.origin.message, 'Vanilla error')
    assert.equal(typeof details.origin.name, 'string')
    assert.deepEqual([details.rpc, details.payload], ['throw-vanilla', { x: [1] }])
    await bench.event({ event: 'error', cid: client.cid, code: FAILED })
  },
  'throw-custom': async (bench) => {
    const client = await bench.client()
    const { code, details } = await faultOf(client.call('throw-custom', 'why'))
    assert.equal(code, FAILED)
    assert.deepEqual([details.test_field, details.rpc, details.payload], ['nope', 'throw-custom', 'why'])
  },
  'throw-wse': async (bench) => {
    const client = await bench.client()
    const { code, details } = await faultOf(client.call('throw-wse', 0))
    assert.equal(code, 'test-err-code')
    assert.deepEqual([details.fun, details.rpc, details.payload], [1, 'throw-wse', 0])
  },
  'details hold no payload when null was sent': async (bench) => {
    const client = await bench.client()
    for (const rpc of ['throw-vanilla', 'throw-custom', 'throw-wse']) {
      const { details } = await faultOf(client.call(rpc))
      assert.equal(details.rpc, rpc)
      assert.ok(!Object.hasOwn(details, 'payload'), rpc)
    }
  },
  'an unknown procedure is not registered': async (bench) => {
    const client = await bench.client()
    for (const rpc of ['no-such', 'Add', 'toString', '__proto__', 'constructor', 'größe 😀']) {
      assert.equal((await faultOf(client.call(rpc, 1))).code, 'wse.server.rp.not-registered', rpc)
    }
  },
  'a fault holds nothing but code, message and details': async (bench) => {
    const client = await bench.client()
    for (const rpc of ['throw-vanilla', 'throw-custom', 'throw-wse', 'no-such']) {
      const fault = await faultOf(client.call(rpc, 1))
      assert.deepEqual(
        Object.keys(fault).filter((key) => !['code', 'message', 'details'].includes(key)),
        [],
      )
      assert.deepEqual(
        Object.keys(fault.details?.origin ?? {}).filter((key) => !['name', 'message'].includes(key)),
        [],
      )
    }
  },
  'any text is a stamp and comes back equal': async (bench) => {
    const client = await bench.client()
    for (const stamp of ['1', 'a"b\\c', 'né 😀', ' ', 's'.repeat(500), 'null', '\n']) {
      assert.equal(await client.call('echo', stamp, { stamp }), stamp)
    }
  },
})

const concurrency = {
  'a slow call holds up neither calls nor messages': async (bench) => {
    const client = await bench.client()
    let done = false
    const slow = client.call('slow', { ms: 300 }).then((value) => ((done = true), value))
    assert.equal(await client.call('add', { a: 1, b: 2 }), 3)
    client.send('count', { count: 1 })
    assert.deepEqual(await client.take('count'), { count: 2 })
    assert.ok(!done, 'the slow call was answered first')
    assert.equal(await slow, 1)
  },
  'answers overtake each other': async (bench) => {
    const client = await bench.client()
    const order = []
    const call = (ms) => client.call('slow', { ms }).then(() => order.push(ms))
    await Promise.all([call(240), call(120), call(0)])
    assert.deepEqual(order, [0, 120, 240])
  },
  'two hundred calls at once all get their own answer': async (bench) => {
    const client = await bench.client()
    const numbers = Array.from({ length: 200 }, (_, n) => n)
    const start = Date.now()
    const doubled = await Promise.all(numbers.map((value) => client.call('double', { value })))
    assert.deepEqual(
      doubled,
      numbers.map((value) => value * 2),
    )
    assert.ok(Date.now() - start < 2500, `took ${Date.now() - start} ms`)
  },
  'calls of two connections with one stamp stay apart': async (bench) => {
    const [one, two] = [await bench.client(), await bench.client()]
    const stamp = newStamp()
    const answers = [one.call('double', { value: 1 }, { stamp }), two.call('double', { value: 2 }, { stamp })]
    assert.deepEqual(await Promise.all(answers), [2, 4])
  },
  'drop-during-call drops, and its result goes nowhere': async (bench) => {
    for (const [payload, reason] of [
      [{ reason: 'mid-call' }, 'mid-call'],
      [{}, 'wse.by-server'],
      [null, 'wse.by-server'],
    ]) {
      const client = await bench.client()
      const { code, details } = await faultOf(client.call('drop-during-call', payload))
      assert.deepEqual([code, details.disconnected], ['wse.client.rp.disconnect', [1000, reason]])
      assertEnd(await client.end(), [1000, reason])
      await sleep(250)
      assert.equal(client.count(TYPES.response), 0)
      await bench.served()
    }
  },
  'who leaves during a call disturbs nobody': async (bench) => {
    const clients = await Promise.all(Array.from({ length: 5 }, () => bench.client()))
    for (const [at, client] of clients.entries()) {
      client.call('slow', { ms: 60 }).catch(() => {})
      if (at % 2) client.close(4000 + at, 'bye')
      else client.vanish()
    }
    await sleep(120)
    await bench.served()
  },
}

export const groups = (codec, protocol) => [
  { title: 'procedures', checks: procedures(protocol === 'cbor') },
  { title: 'concurrency', checks: concurrency },
]
