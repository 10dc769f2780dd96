// Greeting, refusal, welcome, and what `meta` makes the server do.

import assert from 'node:assert/strict'
import { assertEnd, REFUSED, VIOLATION } from '../bench.mjs'
import { Closed } from '../client.mjs'
import { TYPES } from '../codecs.mjs'
import { sleep } from '../wait.mjs'

const WELCOME = { hey: 'some additional data for the client' }

/** Greets without `user_id` being added. */
async function greet(bench, meta, identity = 'valid-secret') {
  const client = await bench.stranger()
  client.welcome = await client.greet(identity, meta)
  return client
}

/** The greeting must end in a close with one of these. */
async function refused(promise, ...ends) {
  await assert.rejects(promise, (error) => {
    if (!(error instanceof Closed)) throw error
    assertEnd(error, ...ends)
    return true
  })
}

const greeting = () => ({
  'a good greeting is welcomed with the payload': async (bench) => {
    const client = await bench.client()
    assert.deepEqual(client.welcome, WELCOME)
  },
  'another identity is refused and never joins': async (bench) => {
    const cid = bench.user()
    await refused(bench.client(cid, { identity: 'wrong' }), REFUSED)
    await refused(bench.client(cid, { identity: '' }), REFUSED)
    await refused(bench.client(cid, { identity: 'VALID-SECRET' }), REFUSED)
    await bench.nobody(cid)
    await bench.served()
  },
  'an identity of another kind is refused': async (bench) => {
    const cid = bench.user()
    for (const identity of [5, true, ['valid-secret'], { a: 'valid-secret' }]) {
      await refused(bench.client(cid, { identity }), REFUSED, VIOLATION)
    }
    await bench.nobody(cid)
  },
  'cid is meta.user_id': async (bench) => {
    const cid = bench.user('né Ω 😀')
    const client = await bench.client(cid)
    assert.equal((await client.call('whoami')).cid, cid)
  },
  'an integer user_id becomes its decimal string': async (bench) => {
    const client = await greet(bench, { user_id: 4711 })
    assert.equal((await client.call('whoami')).cid, '4711')
    await bench.event({ event: 'joined', cid: '4711' })
  },
  'without user_id the server counts': async (bench) => {
    const number = async (meta) => {
      const { cid } = await (await greet(bench, meta)).call('whoami')
      assert.match(cid, /^user-\d+$/)
      return Number(cid.slice(5))
    }
    const first = await number({})
    assert.ok((await number({ other: 1 })) > first)
  },
  'absent meta and null meta count as {}': async (bench) => {
    for (const meta of [undefined, null]) {
      const client = await greet(bench, meta)
      const { cid, meta: seen } = await client.call('whoami')
      assert.deepEqual(seen, {})
      assert.deepEqual((await bench.event({ event: 'joined', cid })).meta, {})
    }
  },
  'whoami tells cid, conn_id, meta and identity': async (bench) => {
    const meta = { device: 'phone', deep: { list: [1, 'zwei', null, true, { x: 1.5 }] } }
    const client = await bench.client(bench.user(), { meta })
    const { cid, conn_id: id, meta: seen, identity } = await client.call('whoami')
    assert.deepEqual([cid, seen, identity], [client.cid, { user_id: client.cid, ...meta }, 'valid-secret'])
    assert.equal((await bench.event({ event: 'connected', cid })).conn_id, id)
    assert.deepEqual((await bench.event({ event: 'joined', cid })).meta, { user_id: cid, ...meta })
  },
})

const metaKeys = () => ({
  'auth_delay holds the welcome back': async (bench) => {
    const start = Date.now()
    const client = await bench.client(bench.user(), { meta: { auth_delay: 150 } })
    assert.ok(Date.now() - start >= 145, `welcomed after ${Date.now() - start} ms`)
    assert.equal(await client.call('add', { a: 1, b: 2 }), 3)
  },
  'auth_delay holds the refusal back': async (bench) => {
    const cid = bench.user()
    const start = Date.now()
    await refused(bench.client(cid, { identity: 'wrong', meta: { auth_delay: 120 } }), REFUSED)
    assert.ok(Date.now() - start >= 115, `refused after ${Date.now() - start} ms`)
    await bench.nobody(cid)
  },
  'who leaves during auth_delay never joins': async (bench) => {
    const cids = [bench.user(), bench.user(), bench.user()]
    const [closes, vanishes, talks] = await Promise.all(
      cids.map(async (cid) => {
        const client = await bench.stranger()
        client.send(TYPES.hi, {
          identity: 'valid-secret',
          meta: { user_id: cid, auth_delay: 600, greet: { type: 'late' } },
        })
        return client
      }),
    )
    talks.send('count', { count: 1 })
    await sleep(30)
    talks.close()
    closes.close(1000, 'never mind')
    vanishes.vanish()
    await sleep(750)
    for (const cid of cids) await bench.nobody(cid)
    await bench.served()
  },
  'messages during auth_delay do no harm': async (bench) => {
    const cid = bench.user()
    const client = await bench.stranger()
    client.send(TYPES.hi, { identity: 'valid-secret', meta: { user_id: cid, auth_delay: 100 } })
    client.send('count', { count: 1 })
    assert.deepEqual(await client.take(TYPES.welcome), WELCOME)
    assert.equal(await client.call('add', { a: 1, b: 2 }), 3)
    assert.equal((await bench.events(cid)).filter((event) => event.event === 'joined').length, 1)
  },
  'a slow greeting holds nobody up': async (bench) => {
    const slow = await bench.stranger()
    slow.send(TYPES.hi, { identity: 'valid-secret', meta: { user_id: bench.user(), auth_delay: 900 } })
    const start = Date.now()
    await bench.client()
    await bench.served()
    assert.ok(Date.now() - start < 800, `others waited ${Date.now() - start} ms`)
  },
  'greet comes right behind the welcome': async (bench) => {
    const payload = { text: 'hello', list: [1, 2] }
    const client = await bench.client(bench.user(), { meta: { greet: { type: 'greeting', payload } } })
    assert.deepEqual(await client.take('greeting'), payload)
    assert.deepEqual(
      client.received.slice(0, 2).map(([type]) => type),
      [TYPES.welcome, 'greeting'],
    )
  },
  'greet is for who joins, not for the second device': async (bench) => {
    const cid = bench.user()
    const meta = { greet: { type: 'greeting', payload: 1 } }
    const first = await bench.client(cid, { meta })
    const second = await bench.client(cid, { meta })
    assert.equal(await second.call('add', { a: 1, b: 2 }), 3)
    assert.equal(await first.call('add', { a: 1, b: 2 }), 3)
    assert.deepEqual([first.count('greeting'), second.count('greeting')], [1, 0])
  },
  'drop_on_join drops after the welcome': async (bench) => {
    const client = await bench.client(bench.user(), { meta: { drop_on_join: 'not today' } })
    assert.deepEqual(client.welcome, WELCOME)
    assertEnd(await client.end(), [1000, 'not today'])
    const story = await bench.story(client.cid)
    assert.equal(story[0], 'joined')
    assert.deepEqual(story.slice(-2), ['disconnected', 'left'])
    assert.ok(!(await bench.observer.call('clients')).some((user) => user.cid === client.cid))
  },
  'greet and drop_on_join go together': async (bench) => {
    const meta = { greet: { type: 'bye', payload: 7 }, drop_on_join: 'done' }
    const client = await bench.client(bench.user(), { meta })
    assertEnd(await client.end(), [1000, 'done'])
    assert.deepEqual(
      client.received.map(([type]) => type),
      [TYPES.welcome, 'bye'],
    )
  },
  'call_on_connect records the answer': async (bench) => {
    const cid = bench.user()
    const client = await bench.stranger()
    client.register('your-name', (payload) => ({ name: 'peer', payload }))
    await client.greet('valid-secret', { user_id: cid, call_on_connect: { rp: 'your-name', payload: [1, 2] } })
    const { rp, ok } = await bench.event({ event: 'called', cid })
    assert.deepEqual([rp, ok], ['your-name', { name: 'peer', payload: [1, 2] }])
  },
  'call_on_connect records the failure': async (bench) => {
    const client = await bench.client(bench.user(), { meta: { call_on_connect: { rp: 'no-such', payload: 1 } } })
    const { rp, err } = await bench.event({ event: 'called', cid: client.cid })
    assert.deepEqual([rp, err.code], ['no-such', 'wse.server.rp.not-registered'])
  },
  'call_on_connect fails at once when the client leaves': async (bench) => {
    const cid = bench.user()
    const client = await bench.stranger()
    client.register('wait', () => client.constructor.SILENT)
    await client.greet('valid-secret', { user_id: cid, call_on_connect: { rp: 'wait' } })
    await client.call('add', { a: 1, b: 1 })
    await client.close(4002, 'changed my mind')
    const { err } = await bench.event({ event: 'called', cid })
    assert.equal(err.code, 'wse.client.rp.disconnect')
    assert.deepEqual(err.details.disconnected, [4002, 'changed my mind'])
  },
})

const timeLimit = () => ({
  'who does not greet in time is refused': async (bench) => {
    const client = await bench.stranger()
    const start = Date.now()
    assertEnd(await client.end(), REFUSED)
    assert.ok(Date.now() - start >= 400, `closed after ${Date.now() - start} ms`)
  },
  'who greeted stays': async (bench) => {
    const client = await bench.client()
    await sleep(700)
    assert.equal(await client.call('add', { a: 1, b: 2 }), 3)
    await bench.served()
  },
  'a greeting that takes too long is refused and never joins': async (bench) => {
    const cid = bench.user()
    await refused(bench.client(cid, { meta: { auth_delay: 1200 } }), REFUSED)
    await sleep(900)
    await bench.nobody(cid)
  },
})

const welcome = { list: [1, 2.5, 'three'], nested: { yes: true, none: null } }

export const groups = () => [
  { title: 'greeting', checks: greeting() },
  { title: 'meta', flags: ['--conn-per-user', '2'], checks: metaKeys() },
  { title: 'auth-timeout', flags: ['--auth-timeout', '0.5'], checks: timeLimit() },
  {
    title: 'welcome',
    flags: ['--welcome', JSON.stringify(welcome)],
    checks: {
      'the payload given by --welcome': async (bench) => assert.deepEqual((await bench.client()).welcome, welcome),
    },
  },
]
