// The table "Malformed input": whatever a client sends, it is turned away or served, and nobody else notices.

import assert from 'node:assert/strict'
import { assertEnd, REFUSED, VIOLATION } from '../bench.mjs'
import { TYPES } from '../codecs.mjs'
import { sleep } from '../wait.mjs'
import { INPUTS } from './inputs.mjs'

const PROCESSING = 'wse.server.msg-processing-error'
const PROTOCOL = 'wse.server.protocol-violation'

/** How the server took what the client sent last: `closed` with its end, or `alive`. */
async function outcome(client) {
  const fence = client.call('slow', { ms: 60 }).then(
    () => ({ alive: true }),
    () => undefined,
  )
  return (await Promise.race([fence, client.closed.then((closed) => ({ closed }))])) ?? { closed: await client.end() }
}

/** A welcomed client sends this and must be closed as a violator. */
async function violates(bench, input, codes) {
  const client = await bench.client()
  client.raw(input)
  assertEnd(await client.end(), VIOLATION)
  const { code } = await bench.event({ event: 'error', cid: client.cid })
  assert.ok(codes.includes(code), `error event ${code}, expected ${codes.join(' or ')}`)
  await bench.event({ event: 'left', cid: client.cid })
  await bench.served()
}

/** A welcomed client sends this: served, or closed in one of these ways. Returns the client. */
async function tolerates(bench, input, ends = [VIOLATION], options = {}) {
  const client = await bench.client()
  client.raw(input, options.binary)
  const { alive, closed } = await outcome(client)
  if (closed) assertEnd(closed, ...ends)
  await bench.served()
  return { client, alive }
}

const messages = (codec, input) => ({
  'what cannot be decoded closes': async (bench) => {
    for (const bytes of input.undecodable) await violates(bench, bytes, [PROCESSING])
  },
  'what is no array closes': async (bench) => {
    for (const bytes of input.noArray) await violates(bench, bytes, [PROCESSING, PROTOCOL])
  },
  'no type and no stamp closes': async (bench) => {
    for (const bytes of input.noType) await violates(bench, bytes, [PROTOCOL])
  },
  'a stamp without a type closes, or is an unknown procedure': async (bench) => {
    for (const bytes of input.stampOnly) {
      const { client, alive } = await tolerates(bench, bytes)
      if (!alive) continue
      const [type, payload] = client.received.find((each) => each?.[2] === 's') ?? []
      assert.deepEqual([type, payload?.code], [TYPES.fault, 'wse.server.rp.not-registered'])
    }
  },
  'a payload that cannot be decoded harms nobody': async (bench) => {
    for (const bytes of input.badPayload ?? []) await tolerates(bench, bytes)
  },
  'what follows a violation is not served': async (bench) => {
    const client = await bench.client()
    client.raw(input.undecodable[0])
    client.send('record', 'behind')
    client.call('echo', 1).catch(() => {})
    assertEnd(await client.end(), VIOLATION)
    assert.ok(!(await bench.events(client.cid)).some((event) => event.event === 'message'))
    assert.equal(client.count(TYPES.response), 0)
  },
  'frames of the other kind': async (bench) => {
    for (const data of input.otherKind) {
      const { client, alive } = await tolerates(bench, data, [VIOLATION, 1003], { binary: !codec.binary })
      if (alive) assert.deepEqual(client.received.at(-2), ['count', { count: 1 }, null])
    }
  },
  'a type that is no text': async (bench) => {
    for (const bytes of input.oddTypes) await tolerates(bench, bytes)
  },
  'a stamp that is no text comes back equal': async (bench) => {
    for (const [bytes, stamp] of input.oddStamps) {
      const { client, alive } = await tolerates(bench, bytes)
      const replies = client.received.filter(([type, payload]) => type === TYPES.response && payload === 'odd')
      if (alive && stamp) assert.deepEqual(replies[0]?.[2], stamp)
    }
  },
  'more than three elements': async (bench) => {
    for (const bytes of input.longer) {
      const { client, alive } = await tolerates(bench, bytes)
      if (alive)
        assert.ok(
          client.received.some(([type, payload, stamp]) => type === TYPES.response && payload === 1 && stamp === 's'),
        )
    }
  },
  'nesting of any depth': async (bench) => {
    for (const rpc of ['echo', 'throw-vanilla', 'no-such', 'add']) {
      for (const bytes of input.nested(rpc)) await tolerates(bench, bytes)
    }
    for (const bytes of input.nested(null)) await tolerates(bench, bytes)
  },
})

/** A stranger sends all this in one go and must be closed; a good greeting does not help it any more. */
async function strangerFails(bench, inputs, ends) {
  const cid = bench.user()
  const client = await bench.stranger()
  for (const bytes of inputs) client.raw(bytes)
  client.send(TYPES.hi, { identity: 'valid-secret', meta: { user_id: cid } })
  client.call('echo', 1).catch(() => {})
  assertEnd(await client.end(), ...ends)
  assert.deepEqual(client.received, [], 'a stranger was answered')
  await sleep(20)
  await bench.nobody(cid)
  await bench.served()
}

const greetings = (codec, input) => ({
  'any message before the greeting closes': async (bench) => {
    const others = ['count', 'add', TYPES.challenge, TYPES.welcome, TYPES.response, TYPES.fault, '~wse:call']
    for (const type of others) {
      await strangerFails(
        bench,
        [codec.pack([type, type === TYPES.fault ? { code: 'x' } : { count: 1 }, null])],
        [VIOLATION],
      )
      await strangerFails(bench, [codec.pack([type, null, 'stamp'])], [VIOLATION])
    }
  },
  'what cannot be decoded before the greeting closes': async (bench) => {
    for (const bytes of [...input.undecodable, ...input.noArray, ...input.noType, ...input.stampOnly]) {
      await strangerFails(bench, [bytes], [VIOLATION])
    }
  },
  'deep nesting before the greeting closes': async (bench) => {
    for (const bytes of input.nested('echo')) await strangerFails(bench, [bytes], [VIOLATION, 1009])
  },
  'a greeting without payload or identity is refused': async (bench) => {
    const payloads = [null, {}, { meta: {} }, { identity: null, meta: {} }]
    const inputs = [...payloads.map((payload) => codec.pack([TYPES.hi, payload, null])), ...input.barePayloads]
    for (const bytes of inputs) await strangerFails(bench, [bytes], [VIOLATION, REFUSED])
  },
  'meta that is no object counts as something, or closes': async (bench) => {
    for (const meta of ['text', 5, true, [1, 2], 'valid-secret']) {
      const client = await bench.stranger()
      const greeted = client.greet('valid-secret', meta).catch((error) => error)
      const end = await Promise.race([greeted.then(() => null), client.closed])
      if (end) assertEnd(end, VIOLATION, REFUSED)
      else if (client.ready) assert.equal(await client.call('add', { a: 1, b: 1 }), 2)
      await bench.served()
    }
  },
  'odd values in meta do no harm': async (bench) => {
    for (const meta of [
      { user_id: {} },
      { user_id: [] },
      { user_id: null },
      { user_id: true },
      { user_id: '' },
      { auth_delay: 'x' },
      { auth_delay: -5 },
      { greet: 5 },
      { greet: {} },
      { greet: { type: null } },
      { drop_on_join: {} },
      { call_on_connect: 1 },
      { call_on_connect: {} },
    ]) {
      const client = await bench.stranger()
      const greeted = client.greet('valid-secret', meta).catch(() => {})
      await Promise.race([greeted, client.closed])
      await bench.served()
    }
  },
  'a second greeting does not change who it is': async (bench) => {
    const stranger = bench.user()
    const second = { identity: 'valid-secret', meta: { user_id: stranger } }
    for (const message of [
      [TYPES.hi, second],
      [TYPES.hi, { identity: 'wrong', meta: {} }],
      [TYPES.hi, null],
    ]) {
      const { client, alive } = await tolerates(bench, codec.pack(message))
      if (alive) assert.equal((await client.call('whoami')).cid, client.cid)
      if (alive) await bench.event({ event: 'ignored', cid: client.cid, type: TYPES.hi })
      await bench.nobody(stranger)
    }
  },
  'internal and unknown types after the welcome': async (bench) => {
    for (const type of [TYPES.challenge, TYPES.welcome, '~wse:call', '~wse:no-such', '~wse:', TYPES.response]) {
      const { client, alive } = await tolerates(bench, codec.pack([type, { x: 1 }]))
      if (alive) assert.equal((await client.call('whoami')).cid, client.cid)
      if (alive && type !== TYPES.response) await bench.event({ event: 'ignored', cid: client.cid, type })
    }
  },
})

/** Everything together, many connections at once. */
const storm = (codec, input) => ({
  'all of it at once disturbs nobody': async (bench) => {
    const good = await bench.client()
    const inputs = [...input.undecodable, ...input.noArray, ...input.noType, ...input.oddTypes, ...input.longer]
    const bad = await Promise.all(Array.from({ length: 40 }, (_, at) => (at % 2 ? bench.client() : bench.stranger())))
    for (const client of bad) for (const bytes of inputs) client.raw(bytes)
    for (let n = 0; n < 50; n += 1) assert.equal(await good.call('add', { a: n, b: 1 }), n + 1)
    await Promise.all(bad.map((client) => client.end()))
    await bench.served()
    assert.deepEqual(
      (await bench.observer.call('clients')).map((user) => user.cid).sort(),
      [good.cid, 'observer'].sort(),
    )
  },
})

export const groups = (codec, protocol) => [
  { title: 'malformed message', checks: messages(codec, INPUTS[protocol]) },
  { title: 'malformed greeting', checks: greetings(codec, INPUTS[protocol]) },
  { title: 'storm', checks: storm(codec, INPUTS[protocol]) },
]
