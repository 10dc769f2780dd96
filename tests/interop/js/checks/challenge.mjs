// Challenge and response.

import assert from 'node:assert/strict'
import { assertEnd, REFUSED, VIOLATION } from '../bench.mjs'
import { Closed } from '../client.mjs'
import { TYPES } from '../codecs.mjs'
import { sleep } from '../wait.mjs'

const sum = ({ a, b }) => a + b

/** Greets, and returns the client when the quest is there. */
async function challenged(bench, cid, meta) {
  const client = await bench.stranger()
  client.send(TYPES.hi, { identity: 'valid-secret', meta: { user_id: cid, ...meta } })
  assert.deepEqual(await client.take(TYPES.challenge), { a: 1, b: 2 })
  return client
}

async function refused(client, cid, bench, ...ends) {
  assertEnd(await client.end(), ...ends)
  assert.ok(!client.ready, 'welcomed all the same')
  await sleep(30)
  await bench.nobody(cid)
  await bench.served()
}

const checks = {
  'the right answer is welcomed': async (bench) => {
    const client = await bench.client(bench.user(), { solve: sum })
    assert.deepEqual(
      client.received.map(([type]) => type),
      [TYPES.challenge, TYPES.welcome],
    )
    assert.deepEqual(client.welcome, { hey: 'some additional data for the client' })
    assert.equal(await client.call('add', { a: 1, b: 2 }), 3)
  },
  'joined gets the meta of the greeting': async (bench) => {
    const { cid } = await bench.client(bench.user(), { solve: sum, meta: { device: 'tv' } })
    assert.deepEqual((await bench.event({ event: 'joined', cid })).meta, { user_id: cid, device: 'tv' })
  },
  'any other answer is refused': async (bench) => {
    for (const answer of [4, '3', null, { response: 3 }, [3], true]) {
      const cid = bench.user()
      const client = await challenged(bench, cid)
      client.send(TYPES.challenge, answer)
      await refused(client, cid, bench, REFUSED)
    }
  },
  'there is only one try': async (bench) => {
    const cid = bench.user()
    const client = await challenged(bench, cid)
    client.send(TYPES.challenge, 4)
    client.send(TYPES.challenge, 3)
    await refused(client, cid, bench, REFUSED)
  },
  'a wrong identity is refused in spite of the right answer': async (bench) => {
    const cid = bench.user()
    const greeting = bench.client(cid, { identity: 'wrong', solve: sum })
    await assert.rejects(greeting, (error) => error instanceof Closed && error.reason === REFUSED[1])
    await bench.nobody(cid)
  },
  'refuse-me is refused without a quest': async (bench) => {
    const cid = bench.user()
    const client = await bench.stranger()
    client.send(TYPES.hi, { identity: 'refuse-me', meta: { user_id: cid } })
    await refused(client, cid, bench, REFUSED)
    assert.deepEqual(client.received, [])
  },
  'any other message during the challenge ends it': async (bench) => {
    const hi = [TYPES.hi, { identity: 'valid-secret', meta: {} }, null]
    for (const message of [
      ['count', { count: 1 }, null],
      ['add', { a: 1, b: 2 }, 'stamp'],
      [TYPES.welcome, 3, null],
      hi,
    ]) {
      const cid = bench.user()
      const client = await challenged(bench, cid)
      client.raw(bench.codec.pack(message))
      client.send(TYPES.challenge, 3)
      await refused(client, cid, bench, VIOLATION)
      assert.equal(client.received.length, 1, 'only the quest is ever sent')
    }
  },
  'who leaves during the challenge never joins': async (bench) => {
    const cid = bench.user()
    const client = await challenged(bench, cid)
    client.vanish()
    await sleep(50)
    await bench.nobody(cid)
    await bench.served()
  },
  'answering before the quest is a violation': async (bench) => {
    const cid = bench.user()
    const client = await bench.stranger()
    client.send(TYPES.challenge, 3)
    client.send(TYPES.hi, { identity: 'valid-secret', meta: { user_id: cid } })
    await refused(client, cid, bench, VIOLATION)
  },
  'auth_delay holds the welcome back': async (bench) => {
    const start = Date.now()
    await bench.client(bench.user(), { solve: sum, meta: { auth_delay: 100 } })
    assert.ok(Date.now() - start >= 95, `welcomed after ${Date.now() - start} ms`)
  },
}

export const groups = () => [{ title: 'challenge', flags: ['--challenge'], solve: sum, checks }]
