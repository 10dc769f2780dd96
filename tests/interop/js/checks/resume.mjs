// Sessions that outlive their sockets: what is said, what comes again, and the events.

import assert from 'node:assert/strict'
import { VIOLATION, Server, assertEnd } from '../bench.mjs'
import { TYPES } from '../codecs.mjs'
import { OPCODE, RawSocket } from '../raw.mjs'
import { answerTo, assertFull, assertNone, back, begin, got, lose, names, notes, resumeOf } from '../sessions.mjs'
import { sleep, until } from '../wait.mjs'

const WINDOW = 20_000

/** All frames of a fixed conversation by hand, with this member `resume` in the greeting, or none. */
async function conversation(bench, url, cid, resume) {
  const raw = await RawSocket.upgrade(url, { offer: [bench.codec.name] })
  const opcode = bench.codec.binary ? OPCODE.binary : OPCODE.text
  const hi = { identity: 'valid-secret', meta: { user_id: cid }, ...(resume !== undefined && { resume }) }
  const steps = [
    [TYPES.hi, hi, null],
    ['echo', { a: [1, 'x'] }, 'st-1'],
    ['count', { count: 1 }, null],
    ['missing', null, 'st-2'],
    ['hey', null, null],
  ]
  for (const message of steps) raw.write(bench.frameOf(message))
  await until(3000, 'six frames', () => raw.frames.length >= 6)
  raw.destroy()
  return raw.frames.filter((each) => each.opcode === opcode).map(({ payload }) => payload.toString('hex'))
}

const checks = {
  'what is said of a new session comes before the welcome': async (bench) => {
    const client = await begin(bench)
    assert.deepEqual(
      client.received.map(([type, , stamp]) => [type, stamp]),
      [
        [TYPES.session, null],
        [TYPES.welcome, null],
      ],
    )
    const { session, token, ...rest } = client.session
    assert.deepEqual(rest, { window: WINDOW, outcome: 'new', seen: 0 })
    assert.ok(typeof session === 'string' && session.length > 0)
    assert.match(token, /^[\w-]{22,}$/)
    const { conn_id } = await client.call('whoami')
    assert.deepEqual(await client.call('session'), { conn_id, resumes: 0, last: null })
    const other = await begin(bench)
    assert.notEqual(other.session.session, session)
    assert.notEqual(other.session.token, token)
  },
  'a client that says nothing of resume sees no difference': async (bench) => {
    const flags = bench.server.flags.filter((flag, at, all) => flag !== '--resume' && all[at - 1] !== '--resume')
    const without = await Server.start(bench.program, flags)
    try {
      const cid = bench.user()
      const expected = await conversation(bench, without.url, cid)
      for (const resume of [undefined, null, false]) {
        assert.deepEqual(await conversation(bench, bench.url, cid, resume), expected)
        const story = await bench.story(cid)
        assert.deepEqual(story.slice(-4), ['joined', 'connected', 'disconnected', 'left'])
      }
      assert.deepEqual(await conversation(bench, without.url, cid, true), expected, 'a server without resume ignores it')
    } finally {
      await without.stop()
    }
  },
  'nothing is lost when a socket is': async (bench) => {
    const cid = bench.user()
    const client = await begin(bench, cid)
    const { conn_id } = await client.call('whoami')
    const room = bench.user('room')
    await client.call('join', { room })
    client.call('slow', { ms: 300 }, { stamp: 'a-slow-call' }).catch(() => {})
    await client.call('ticks', { n: 40, ms: 10 })
    await client.take('tick')
    await lose(bench, client)
    const known = got(client, 'tick')
    await notes(bench, cid, 'away')
    assert.equal(await bench.observer.call('room-send', { room, type: 'said', payload: 'also' }), 1)
    const all = await bench.observer.call('clients')
    assert.deepEqual(
      all.filter((user) => user.cid === cid),
      [{ cid, conns: 1 }],
    )
    const next = await back(bench, client)
    assertFull(client, next)
    assert.equal((await answerTo(next, 'a-slow-call'))[1], 1)
    await until(3000, 'all ticks', () => known.length + next.count('tick') >= 40)
    assert.deepEqual(
      [...known, ...got(next, 'tick')],
      Array.from({ length: 40 }, (_, at) => at + 1),
    )
    assert.deepEqual([got(next), got(next, 'said')], [['away'], ['also']])
    assert.deepEqual(
      next.received.slice(0, 2).map(([type]) => type),
      [TYPES.session, TYPES.welcome],
    )
    assert.deepEqual(await next.call('session'), { conn_id, resumes: 1, last: 'full' })
    assert.deepEqual(await next.call('rooms'), [room])
    await next.close(1000)
    const story = ['joined', 'connected', 'entered', 'suspended', 'resumed', 'exited', 'disconnected', 'left']
    assert.deepEqual(await bench.story(cid), story)
    for (const event of ['connected', 'suspended', 'resumed', 'disconnected']) await bench.event({ event, cid, conn_id })
    const resumed = await bench.event({ event: 'resumed', cid })
    assert.deepEqual([resumed.outcome, resumed.lost ?? null], ['full', null])
  },
  'sockets are lost one after another': async (bench) => {
    const cid = bench.user()
    let client = await begin(bench, cid)
    await client.call('ticks', { n: 60, ms: 5 })
    const ticks = []
    for (let resumes = 1; resumes <= 4; resumes += 1) {
      await client.take('tick')
      await lose(bench, client)
      ticks.push(...got(client, 'tick'))
      const next = await back(bench, client)
      assertFull(client, next)
      client = next
    }
    await until(3000, 'all ticks', () => ticks.length + client.count('tick') >= 60)
    assert.deepEqual(
      [...ticks, ...got(client, 'tick')],
      Array.from({ length: 60 }, (_, at) => at + 1),
    )
    assert.equal((await client.call('session')).resumes, 4)
  },
  'the server counts what the client sends': async (bench) => {
    const client = await begin(bench)
    for (let n = 0; n < 3; n += 1) client.send('record', n)
    client.send('~wse:ping', 1)
    client.send('unknown', null)
    await client.call('echo', 1)
    client.answer('to nobody')
    client.send(TYPES.seen, client.seen)
    await client.call('echo', 2)
    const next = await back(bench, await lose(bench, client))
    assert.equal(next.session.seen, 7)
    next.send('record', 3)
    await next.call('echo', 3)
    const last = await back(bench, await lose(bench, next))
    assert.equal(last.session.seen, 9)
  },
  'only what the client has not processed comes again': async (bench) => {
    const cid = bench.user()
    const client = await begin(bench, cid)
    await notes(bench, cid, 1, 2, 3, 4)
    await until(3000, 'four notes', () => client.count('note') === 4)
    await lose(bench, client)
    await notes(bench, cid, 5)
    const next = await back(bench, client, { seen: 2 })
    assertFull(client, next)
    await notes(bench, cid, 6)
    await until(3000, 'the last note', () => got(next).includes(6))
    assert.deepEqual(got(next), [3, 4, 5, 6])
  },
  'the server calls a client that is away': async (bench) => {
    const cid = bench.user()
    const client = await begin(bench, cid)
    let early
    client.register('ask', (payload, stamp) => {
      early = stamp
      return client.constructor.SILENT
    })
    const call = (payload) => bench.observer.call('call-user', { cid, rp: 'ask', payload })
    const first = call(1)
    await until(3000, 'the call', () => early)
    await lose(bench, client)
    const second = call(2)
    await sleep(50)
    const next = await bench.stranger({ resume: resumeOf(client) })
    next.register('ask', () => client.constructor.SILENT)
    await next.greet('valid-secret', { user_id: cid })
    assertFull(client, next)
    next.answer(early, 'early')
    const asked = await until(3000, 'the second call', () => next.received.find(([type]) => type === 'ask'))
    assert.equal(asked[1], 2)
    next.answer(asked[2], 'late')
    assert.deepEqual([await first, await second], [{ ok: 'early' }, { ok: 'late' }])
  },
  'what was processed has arrived, though its receipt was lost': async (bench) => {
    const cid = bench.user()
    const client = await begin(bench, cid, { receipts: true })
    client.receipts = false
    const acked = bench.observer.call('acked', { cid, type: 'invoice', payload: 1, timeout: 5 }, { timeout: 6000 })
    await client.take('invoice')
    await lose(bench, client)
    await back(bench, client)
    assert.deepEqual(
      (await acked).map(({ outcome }) => outcome),
      ['received'],
    )
  },
  'seen is told after 64 messages': async (bench) => {
    const client = await begin(bench)
    for (let n = 1; n < 64; n += 1) client.send('record', n)
    await sleep(200)
    assert.equal(client.count(TYPES.seen), 0)
    client.send('record', 64)
    assert.equal(await client.take(TYPES.seen), 64)
  },
  'seen is told after 5 s': async (bench) => {
    const client = await begin(bench)
    client.send('record', 1)
    const began = Date.now()
    assert.equal(await client.take(TYPES.seen, 8000), 1)
    assert.ok(Date.now() - began > 4000)
  },
  'a socket that is still open is taken over': async (bench) => {
    const cid = bench.user()
    const client = await begin(bench, cid)
    const { conn_id } = await client.call('whoami')
    const next = await back(bench, client)
    assertFull(client, next)
    assertEnd(await client.end(), [1000, 'wse.session-taken'])
    await notes(bench, cid, 'for the new one')
    assert.equal(await next.take('note'), 'for the new one')
    assert.deepEqual(await next.call('session'), { conn_id, resumes: 1, last: 'full' })
    assert.deepEqual(await names(bench, cid), ['joined', 'connected', 'resumed'])
  },
  'the latest greeting applies': async (bench) => {
    const client = await begin(bench, undefined, { meta: { place: 'here' } })
    await lose(bench, client)
    const next = await back(bench, client, {}, { meta: { place: 'there' } })
    assertFull(client, next)
    assert.deepEqual((await next.call('whoami')).meta, { user_id: client.cid, place: 'there' })
  },
  'the token was used, and its welcome may be lost': async (bench) => {
    const client = await lose(bench, await begin(bench))
    const silent = await bench.client(client.cid, { resume: resumeOf(client) })
    assertFull(client, silent)
    await lose(bench, silent)
    const again = await back(bench, client)
    assertFull(client, again)
    await again.call('echo', 1)
    await lose(bench, again)
    assertNone(client, await back(bench, client), 'token')
    assertFull(again, await back(bench, again))
  },
  'a client that closes with 1000, 1001 or 3000 ends its session at once': async (bench) => {
    for (const code of [1000, 1001, 3000]) {
      const client = await begin(bench)
      client.ws.close(code, 'bye')
      assert.deepEqual(await bench.story(client.cid), ['joined', 'connected', 'disconnected', 'left'])
      assert.equal((await bench.event({ event: 'disconnected', cid: client.cid })).code, code)
      assertNone(client, await back(bench, client), 'unknown')
    }
  },
  'a session survives the codes after which clients come back': async (bench) => {
    for (const code of [undefined, 1011, 1012, 1013, 1014, 4000]) {
      const client = await begin(bench)
      await client.close(code)
      await bench.event({ event: 'suspended', cid: client.cid })
      assertFull(client, await back(bench, client))
    }
  },
  'a session survives the same codes from the server': async (bench) => {
    for (const code of [1011, 1012, 1013, 4000]) {
      const client = await begin(bench)
      client.send('close-me', { code, reason: 'later' })
      assertEnd(await client.end(), [code, 'later'])
      await bench.event({ event: 'suspended', cid: client.cid })
      assertFull(client, await back(bench, client))
    }
  },
  'of several sockets at once, one keeps the session': async (bench) => {
    const cid = bench.user()
    const client = await lose(bench, await begin(bench, cid))
    const sockets = []
    for (let n = 0; n < 5; n += 1) sockets.push(await bench.stranger({ resume: resumeOf(client) }))
    await Promise.all(sockets.map((socket) => socket.greet('valid-secret', { user_id: cid })))
    for (const socket of sockets) assertFull(client, socket)
    const open = () => sockets.filter(({ ws }) => ws.readyState === ws.OPEN)
    await until(3000, 'one socket', () => open().length === 1)
    const [keeps] = open()
    for (const socket of sockets.filter((socket) => socket !== keeps))
      assertEnd(await socket.end(), [1000, 'wse.session-taken'])
    assert.equal((await keeps.call('session')).resumes, 5)
    await notes(bench, cid, 'for one')
    assert.equal(await keeps.take('note'), 'for one')
  },
  'a server that closes with another code ends the session': async (bench) => {
    const client = await begin(bench)
    client.send('drop-me', { reason: 'enough' })
    assertEnd(await client.end(), [1000, 'enough'])
    assert.deepEqual(await bench.story(client.cid), ['joined', 'connected', 'disconnected', 'left'])
    assertNone(client, await back(bench, client), 'unknown')
    const away = await lose(bench, await begin(bench))
    assert.equal(await bench.observer.call('drop-user', { cid: away.cid, reason: 'enough' }), 1)
    const story = ['joined', 'connected', 'suspended', 'disconnected', 'left']
    assert.deepEqual(await bench.story(away.cid), story)
    const { code, reason } = await bench.event({ event: 'disconnected', cid: away.cid })
    assert.deepEqual([code, reason], [1000, 'enough'])
  },
  'a broken message ends the session': async (bench) => {
    const client = await begin(bench)
    client.raw(bench.codec.binary ? Buffer.from([0xff]) : '{')
    assertEnd(await client.end(), VIOLATION)
    assert.deepEqual((await bench.story(client.cid)).slice(-2), ['disconnected', 'left'])
    assertNone(client, await back(bench, client), 'unknown')
  },
}

const challenged = {
  'the challenge comes first, at a resume too': async (bench) => {
    const solve = () => 3
    const client = await begin(bench, undefined, { solve })
    const order = [TYPES.challenge, TYPES.session, TYPES.welcome]
    assert.deepEqual(
      client.received.map(([type]) => type),
      order,
    )
    await lose(bench, client)
    await assert.rejects(back(bench, client, {}, { solve: () => 4 }))
    const next = await back(bench, client, {}, { solve })
    assertFull(client, next)
    assert.deepEqual(
      next.received.slice(0, 3).map(([type]) => type),
      order,
    )
  },
}

const flags = ['--resume', String(WINDOW), '--conn-per-user', '3']

export const groups = () => [
  { title: 'resume', flags, checks },
  { title: 'resume', flags: [...flags, '--challenge'], solve: () => 3, checks: challenged },
]
