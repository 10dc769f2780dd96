// What the checks about resume share: sessions, and their next sockets.

import assert from 'node:assert/strict'
import { TYPES } from './codecs.mjs'
import { until } from './wait.mjs'

/** A client with a session that can be resumed. */
export const begin = (bench, cid, options) => bench.client(cid, { resume: true, ...options })

/** What the greeting says to resume the session of `client`. */
export const resumeOf = ({ session: { session, token }, seen }, changes) => ({ session, token, seen, ...changes })

/** The next connection of `client`. `changes` are to the greeting's `resume`. What it has said is told at once. */
export async function back(bench, client, changes, options) {
  const next = await bench.client(client.cid, { resume: resumeOf(client, changes), ...options })
  if (['full', 'partial'].includes(next.session.outcome)) next.send(TYPES.seen, next.seen)
  return next
}

/** Ends the socket of a client without a close frame, and waits until the server knows. Returns `client`. */
export async function lose(bench, client) {
  const { length } = await bench.events(client.cid)
  client.vanish()
  const news = async () => (await bench.events(client.cid)).slice(length)
  await until(3000, 'the event suspended', async () => (await news()).some(({ event }) => event === 'suspended'))
  return client
}

/** The names of the events of a user so far. */
export const names = async (bench, cid) => (await bench.events(cid)).map(({ event }) => event)

/** Waits for the payload of the answer to this stamp. */
export const answerTo = (client, stamp) =>
  until(3000, `answer to ${stamp}`, () => client.received.find((each) => each?.[0] === TYPES.response && each[2] === stamp))

/** The session goes on over the new socket `next`: nothing of it was lost. */
export function assertFull(client, next) {
  assert.equal(next.session.outcome, 'full')
  assert.equal(next.session.session, client.session.session)
  assert.notEqual(next.session.token, client.session.token)
}

/** The client has a new session, for this reason. */
export function assertNone(client, next, reason) {
  const { outcome, reason: said, seen, session } = next.session
  assert.deepEqual({ outcome, said, seen }, { outcome: 'none', said: reason, seen: 0 })
  assert.notEqual(session, client.session.session)
}

/** Sends messages `note` with these payloads to a user. */
export async function notes(bench, cid, ...payloads) {
  for (const payload of payloads) {
    assert.equal(await bench.observer.call('send-to', { cid, type: 'note', payload }), 1)
  }
}

/** The payloads of all messages of this type that have come. */
export const got = (client, type = 'note') =>
  client.received.filter((message) => message?.[0] === type).map(([, payload]) => payload)
