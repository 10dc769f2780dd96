// Channel messages: no stamp, no answer unless the server's handler sends one.

import assert from 'node:assert/strict'
import { assertEnd } from '../bench.mjs'
import { until } from '../wait.mjs'

const checks = {
  'count counts on': async (bench) => {
    const client = await bench.client()
    for (const n of [0, 41, -1]) {
      client.send('count', { count: n })
      assert.deepEqual(await client.take('count'), { count: n + 1 })
    }
  },
  'count starts at 0 without a number': async (bench) => {
    const client = await bench.client()
    for (const payload of [{}, { count: 'x' }, { count: null }, null, 'text', [1]]) {
      client.send('count', payload)
      assert.deepEqual(await client.take('count'), { count: 1 }, JSON.stringify(payload))
    }
  },
  'a hundred messages are all answered, to the sender alone': async (bench) => {
    const [client, other] = [await bench.client(), await bench.client()]
    for (let n = 0; n < 100; n += 1) client.send('count', { count: n })
    const numbers = []
    while (numbers.length < 100) numbers.push((await client.take('count')).count)
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      Array.from({ length: 100 }, (_, n) => n + 1),
    )
    await other.call('add', { a: 1, b: 1 })
    assert.equal(other.count('count'), 0)
  },
  'record shows any payload unchanged': async (bench) => {
    const client = await bench.client()
    const payloads = [
      null,
      true,
      0,
      -7,
      1.5,
      '',
      'né Ω 😀 "\\\n\u0000',
      [],
      {},
      [[1], { a: null }],
      { '': 1, 'a b': [false] },
    ]
    for (const payload of payloads) client.send('record', payload)
    const recorded = async () => (await bench.events(client.cid)).filter((event) => event.event === 'message')
    const messages = await until(3000, 'all messages', async () => {
      const found = await recorded()
      return found.length >= payloads.length && found
    })
    assert.deepEqual(
      messages.map((event) => event.payload ?? null),
      payloads,
    )
    assert.ok(messages.every((event) => event.type === 'record'))
  },
  'an unknown type is ignored and recorded': async (bench) => {
    const client = await bench.client()
    client.send('no-such-type', { x: 1 })
    const event = await bench.event({ event: 'ignored', cid: client.cid })
    assert.deepEqual([event.type, event.payload], ['no-such-type', { x: 1 }])
    assert.equal(await client.call('add', { a: 1, b: 1 }), 2)
    assert.equal(client.received.length, 2, 'it must not be answered')
  },
  'names are case-sensitive and may be any text': async (bench) => {
    const client = await bench.client()
    for (const type of ['Count', ' count', 'toString', 'constructor', '__proto__', 'größe 😀', 'a'.repeat(300)]) {
      client.send(type, 1)
      await bench.event({ event: 'ignored', cid: client.cid, type })
    }
  },
  'a procedure is no channel message, and the reverse': async (bench) => {
    const client = await bench.client()
    client.send('add', { a: 1, b: 2 })
    await bench.event({ event: 'ignored', cid: client.cid, type: 'add' })
    await assert.rejects(client.call('count', { count: 1 }), { code: 'wse.server.rp.not-registered' })
    assert.equal(client.count('count'), 0)
  },
  'hey on a single device': async (bench) => {
    const client = await bench.client()
    client.send('hey')
    assert.deepEqual([await client.take('both'), await client.take('only')], [null, null])
  },
  'drop-me closes with the reason': async (bench) => {
    const client = await bench.client()
    client.send('drop-me', { reason: 'as you wish' })
    assertEnd(await client.end(), [1000, 'as you wish'])
    const { code, reason } = await bench.event({ event: 'disconnected', cid: client.cid })
    assert.deepEqual([code, reason], [1000, 'as you wish'])
    assert.deepEqual(await bench.story(client.cid), ['joined', 'connected', 'disconnected', 'left'])
  },
  'drop-me without a reason is by the server': async (bench) => {
    for (const payload of [{}, null]) {
      const client = await bench.client()
      client.send('drop-me', payload)
      assertEnd(await client.end(), [1000, 'wse.by-server'])
    }
  },
  'drop-me cuts a long reason at a character': async (bench) => {
    for (const reason of ['x'.repeat(123), 'x'.repeat(124), 'ä'.repeat(100), 'x' + '😀'.repeat(60), '€'.repeat(5000)]) {
      const client = await bench.client()
      client.send('drop-me', { reason })
      const end = await client.end()
      assert.equal(end.code, 1000)
      const length = Buffer.byteLength(end.reason)
      assert.ok(reason.startsWith(end.reason) && length <= 123 && length > 119, `${length} bytes: ${end.reason}`)
      if (Buffer.byteLength(reason) <= 123) assert.equal(end.reason, reason)
    }
    await bench.served()
  },
  'drop-client on a single device': async (bench) => {
    for (const [payload, reason] of [
      [{ reason: 'gone' }, 'gone'],
      [{}, ''],
      [null, ''],
    ]) {
      const client = await bench.client()
      client.send('drop-client', payload)
      assertEnd(await client.end(), [1000, reason])
      assert.deepEqual(await bench.story(client.cid), ['joined', 'connected', 'disconnected', 'left'])
    }
  },
  'close-me closes with code and reason': async (bench) => {
    for (const [code, reason] of [
      [1000, 'fine'],
      [1011, 'oops'],
      [1012, ''],
      [1013, 'later'],
      [1014, 'x'],
      [3000, 'ä'],
      [4000, 'jump'],
      [4999, 'last'],
    ]) {
      const client = await bench.client()
      client.send('close-me', { code, reason })
      assertEnd(await client.end(), [code, reason])
      const gone = await bench.event({ event: 'disconnected', cid: client.cid })
      assert.deepEqual([gone.code, gone.reason], [code, reason])
    }
  },
  'messages sent behind drop-me find nobody': async (bench) => {
    const client = await bench.client()
    client.send('drop-me', { reason: 'now' })
    client.send('record', 'too late, or just in time')
    client.call('echo', 1).catch(() => {})
    assertEnd(await client.end(), [1000, 'now'])
    await bench.served()
  },
}

export const groups = () => [{ title: 'channel', checks }]
