// Sessions that are not resumed, or not in full: gaps, time limits, wrong tokens and numbers.

import assert from 'node:assert/strict'
import { EVICTED, REFUSED, VIOLATION, assertEnd } from '../bench.mjs'
import { TYPES } from '../codecs.mjs'
import { assertFull, assertNone, back, begin, got, lose, names, notes, resumeOf } from '../sessions.mjs'
import { until } from '../wait.mjs'

/** Greets with this `resume`, which must end the connection. */
async function violates(bench, cid, resume) {
  const client = await bench.stranger({ resume })
  const greeting = client.greet('valid-secret', { user_id: cid }).catch(() => {})
  assertEnd(await client.end(), VIOLATION)
  await greeting
  assert.deepEqual(client.received, [], `resume: ${JSON.stringify(resume)}`)
}

const checks = {
  'another token': async (bench) => {
    const client = await lose(bench, await begin(bench))
    const { token } = client.session
    const other = (token[0] === 'A' ? 'B' : 'A') + token.slice(1)
    for (const forged of [other, token.slice(1), `${token}A`, 'short', '']) {
      const next = await back(bench, client, { token: forged })
      assertNone(client, next, 'token')
      await next.close(1000)
    }
    assertFull(client, await back(bench, client))
  },
  'another user, who has the token': async (bench) => {
    const client = await lose(bench, await begin(bench))
    const thief = { session: client.session, seen: client.seen, cid: bench.user() }
    const next = await back(bench, thief)
    assertNone(client, next, 'user')
    assert.deepEqual(await names(bench, next.cid), ['joined', 'connected'])
    const { conn_id } = await next.call('whoami')
    assert.deepEqual(await next.call('session'), { conn_id, resumes: 0, last: 'none' })
    assertNone(client, await back(bench, { ...thief, session: { ...client.session, token: 'x' } }), 'token')
    assertFull(client, await back(bench, client))
  },
  'a session that never was': async (bench) => {
    const client = await begin(bench)
    assertNone(client, await back(bench, client, { session: 'never' }), 'unknown')
    assert.equal(await client.call('echo', 1), 1, 'the socket of the other session is untouched')
  },
  'a new session after none counts from 0': async (bench) => {
    const client = await begin(bench)
    for (let n = 0; n < 5; n += 1) await client.call('echo', n)
    const next = await back(bench, client, { session: 'never', seen: 3 })
    await notes(bench, client.cid, 1).catch(() => {}) // to both
    await next.take('note')
    next.send(TYPES.seen, 1)
    await next.call('echo', 1)
    const last = await back(bench, await lose(bench, next))
    assertFull(next, last)
    assert.equal(last.session.seen, 1)
  },
  'a wrong seen closes the socket and leaves the session': async (bench) => {
    const client = await begin(bench)
    await notes(bench, client.cid, 1, 2)
    await client.take('note')
    await client.take('note')
    await lose(bench, client)
    for (const seen of [3, 2 ** 53 - 1, 2 ** 53, -1, 1.5, '2', null, true, [2]])
      await violates(bench, client.cid, resumeOf(client, { seen }))
    const next = await back(bench, client)
    assertFull(client, next)
    assert.deepEqual(got(next), [])
    assert.deepEqual(await names(bench, client.cid), ['joined', 'connected', 'suspended', 'resumed'])
  },
  'a wrong resume closes the socket': async (bench) => {
    const cid = bench.user()
    const client = await lose(bench, await begin(bench))
    const { session, token } = client.session
    const wrong = [1, 0, 'yes', '', [], {}, { session, token }, { session, seen: 0 }, { token, seen: 0 }]
    for (const resume of [...wrong, { session: 1, token, seen: 0 }, { session, token: null, seen: 0 }])
      await violates(bench, cid, resume)
    await bench.nobody(cid)
    assertFull(client, await back(bench, client, { more: 'members', 1: null }))
  },
  'a wrong seen in band closes the socket and ends the session': async (bench) => {
    for (const seen of [2, -1, 0.5, '1', null, {}]) {
      const client = await begin(bench)
      await notes(bench, client.cid, 1)
      await client.take('note')
      client.send(TYPES.seen, seen)
      assertEnd(await client.end(), VIOLATION)
      const story = (await bench.story(client.cid)).filter((event) => event !== 'error')
      assert.deepEqual(story, ['joined', 'connected', 'disconnected', 'left'])
      assertNone(client, await back(bench, client), 'unknown')
    }
  },
  'a seen that is not larger than before is ignored': async (bench) => {
    const client = await begin(bench)
    await notes(bench, client.cid, 1, 2)
    await client.take('note')
    for (const seen of [2, 2, 0, 1]) client.send(TYPES.seen, seen)
    assert.equal(await client.call('echo', 1), 1)
  },
  'a refused identity leaves the session and its socket': async (bench) => {
    const client = await begin(bench)
    const other = await bench.stranger({ resume: resumeOf(client) })
    const greeting = other.greet('wrong', { user_id: client.cid }).catch(() => {})
    assertEnd(await other.end(), REFUSED)
    await greeting
    assert.deepEqual(other.received, [])
    assert.equal(await client.call('echo', 1), 1)
    assertFull(client, await back(bench, await lose(bench, client)))
  },
  'a client that resumes is silent until its welcome': async (bench) => {
    const client = await lose(bench, await begin(bench))
    for (const message of [
      ['record', 1, null],
      ['echo', 1, 'st'],
      [TYPES.seen, 0, null],
    ]) {
      const hasty = await bench.stranger({ resume: resumeOf(client) })
      hasty.greet('valid-secret', { user_id: client.cid, auth_delay: 200 }).catch(() => {})
      hasty.raw(bench.codec.pack(message))
      assertEnd(await hasty.end(), VIOLATION)
      assert.deepEqual(hasty.received, [])
    }
    assertFull(client, await back(bench, client))
  },
  'the session that was away the longest gives way first': async (bench) => {
    const cid = bench.user()
    const oldest = await begin(bench, cid)
    const longest = await lose(bench, await begin(bench, cid))
    const shorter = await lose(bench, await begin(bench, cid))
    await begin(bench, cid)
    const { code, reason } = await bench.event({ event: 'disconnected', cid })
    assert.deepEqual([code, reason], EVICTED)
    assert.equal(await oldest.call('echo', 1), 1)
    assertFull(shorter, await back(bench, shorter))
    assertNone(longest, await back(bench, longest), 'evicted')
  },
}

const short = {
  'after the window the session is gone': async (bench) => {
    const cid = bench.user()
    const client = await begin(bench, cid)
    const { conn_id } = await client.call('whoami')
    await client.call('join', { room: cid })
    const call = bench.observer.call('call-user', { cid, rp: 'silent', payload: null })
    client.register('silent', () => client.constructor.SILENT)
    await lose(bench, client)
    assert.equal((await call).err.code, 'wse.client.rp.disconnect')
    const story = ['joined', 'connected', 'entered', 'suspended', 'exited', 'disconnected', 'left']
    assert.deepEqual(await bench.story(cid), story)
    for (const event of ['disconnected', 'left']) assert.equal((await bench.event({ event, cid })).code, 1006)
    const next = await back(bench, client)
    assertNone(client, next, 'expired')
    const session = await next.call('session')
    assert.notEqual(session.conn_id, conn_id)
    assert.deepEqual([session.resumes, session.last], [0, 'none'])
    assert.deepEqual(await next.call('rooms'), [])
    assert.deepEqual((await names(bench, cid)).slice(story.length), ['joined', 'connected'])
  },
}

const RING = 2000

/** The length of what the server has sent of this type. */
const bytes = (client, type = 'note') =>
  client.received.reduce((sum, message, at) => sum + (message[0] === type ? client.lengths[at] : 0), 0)

const small = {
  'too much for the ring is a gap': async (bench) => {
    const cid = bench.user()
    const client = await begin(bench, cid)
    await notes(bench, cid, { n: 1 }, { n: 2 })
    await until(3000, 'two notes', () => client.count('note') === 2)
    await lose(bench, client)
    const payloads = Array.from({ length: 48 }, (_, at) => ({ n: at + 3, text: 'x'.repeat(100) }))
    await notes(bench, cid, ...payloads)
    const next = await back(bench, client)
    const { outcome, lost, session } = next.session
    assert.deepEqual([outcome, session, lost[0]], ['partial', client.session.session, 3])
    await notes(bench, cid, 'new')
    await next.take('note', 3000)
    await until(3000, 'the new note', () => got(next).at(-1) === 'new')
    const replayed = got(next)
      .slice(0, -1)
      .map(({ n }) => n)
    assert.deepEqual(
      replayed,
      Array.from({ length: 50 - lost[1] }, (_, at) => lost[1] + 1 + at),
    )
    const each = bytes(next) / next.count('note')
    assert.ok(bytes(next) - each < RING && bytes(next) + 2 * each > RING, `${bytes(next)} bytes were kept`)
    assert.deepEqual((await bench.event({ event: 'resumed', cid })).lost, lost)
    const { resumes, last } = await next.call('session')
    assert.deepEqual([resumes, last], [1, 'partial'])
    assert.equal(next.seen, 52, 'the count goes on behind the gap')
    assertFull(next, await back(bench, await lose(bench, next)))
  },
  'a message that is larger than the ring is lost with all before it': async (bench) => {
    const cid = bench.user()
    const client = await lose(bench, await begin(bench, cid))
    await notes(bench, cid, 1, 'x'.repeat(RING))
    const next = await back(bench, client)
    assert.deepEqual([next.session.outcome, next.session.lost], ['partial', [1, 2]])
    await notes(bench, cid, 'new')
    assert.equal(await next.take('note'), 'new')
    assert.equal(next.seen, 3)
  },
  'a seen below what was acknowledged is a gap': async (bench) => {
    const cid = bench.user()
    const client = await begin(bench, cid)
    await notes(bench, cid, 1, 2, 3, 4)
    for (let n = 0; n < 4; n += 1) await client.take('note')
    client.send(TYPES.seen, 3)
    await client.call('echo', 1)
    const next = await back(bench, await lose(bench, client), { seen: 1 })
    assert.deepEqual([next.session.outcome, next.session.lost], ['partial', [2, 3]])
    await until(3000, 'the fourth note', () => next.count('note') === 1)
    assert.deepEqual(got(next), [4])
  },
  'a call into the gap fails at once': async (bench) => {
    const cid = bench.user()
    const client = await lose(bench, await begin(bench, cid))
    const call = bench.observer.call('call-user', { cid, rp: 'ask', payload: 'early' })
    await until(3000, 'the call', async () => (await bench.observer.call('echo', true)) === true)
    await notes(bench, cid, 'x'.repeat(RING))
    const next = await back(bench, client)
    assert.equal(next.session.outcome, 'partial')
    assert.equal((await call).err.code, 'wse.client.rp.disconnect')
  },
}

export const groups = () => [
  { title: 'resume', flags: ['--resume', '20000', '--conn-per-user', '3'], checks },
  { title: 'resume', flags: ['--resume', '300'], checks: short },
  { title: 'resume', flags: ['--resume', '20000', '--resume-bytes', String(RING)], checks: small },
]
