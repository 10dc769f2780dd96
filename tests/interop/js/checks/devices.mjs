// Users with several connections, and messages to some or all of them.

import assert from 'node:assert/strict'
import { assertEnd, EVICTED } from '../bench.mjs'

/** All that was sent to the client has come once a call that started later is answered. */
const settled = (...clients) => Promise.all(clients.map((client) => client.call('add', { a: 1, b: 1 })))

const pair = async (bench) => {
  const cid = bench.user()
  return [cid, await bench.client(cid), await bench.client(cid)]
}

const two = {
  'two devices are one user': async (bench) => {
    const [cid, first, second] = await pair(bench)
    const ids = [(await first.call('whoami')).conn_id, (await second.call('whoami')).conn_id]
    assert.notEqual(ids[0], ids[1])
    const events = await bench.events(cid)
    assert.deepEqual(
      events.map((event) => event.event),
      ['joined', 'connected', 'connected'],
    )
    assert.deepEqual(
      events.slice(1).map((event) => event.conn_id),
      ids,
    )
    const user = (await first.call('clients')).find((each) => each.cid === cid)
    assert.deepEqual(user, { cid, conns: 2 })
  },
  'the third device evicts the oldest': async (bench) => {
    const [cid, first, second] = await pair(bench)
    const { conn_id: oldest } = await first.call('whoami')
    const third = await bench.client(cid)
    assertEnd(await first.end(), EVICTED)
    await settled(second, third)
    const { code, reason, conn_id: gone } = await bench.event({ event: 'disconnected', cid })
    assert.deepEqual([code, reason, gone], [...EVICTED, oldest])
    const names = (await bench.events(cid)).map((event) => event.event)
    assert.equal(names.filter((name) => name === 'joined').length, 1)
    assert.ok(!names.includes('left'), 'the user is still there')
    assert.equal((await third.call('clients')).find((user) => user.cid === cid).conns, 2)
  },
  'left comes with the last device': async (bench) => {
    const [cid, first, second] = await pair(bench)
    await first.close(4001, 'one')
    await bench.event({ event: 'disconnected', cid, code: 4001 })
    assert.equal((await second.call('clients')).find((user) => user.cid === cid).conns, 1)
    await second.close(4002, 'two')
    const left = await bench.event({ event: 'left', cid })
    assert.deepEqual([left.code, left.reason], [4002, 'two'])
    assert.deepEqual(await bench.story(cid), [
      'joined',
      'connected',
      'connected',
      'disconnected',
      'disconnected',
      'left',
    ])
  },
  'who comes back joins again': async (bench) => {
    const cid = bench.user()
    await (await bench.client(cid)).close(1000, '')
    await bench.event({ event: 'left', cid })
    await bench.client(cid)
    await bench.event({ event: 'connected', cid })
    const joined = (await bench.events(cid)).filter((event) => event.event === 'joined')
    assert.equal(joined.length, 2)
  },
  'hey: both to all devices, only to one': async (bench) => {
    const [, first, second] = await pair(bench)
    first.send('hey')
    assert.deepEqual(
      [await first.take('both'), await first.take('only'), await second.take('both')],
      [null, null, null],
    )
    await settled(first, second)
    assert.deepEqual([first.count('both'), first.count('only')], [1, 1])
    assert.deepEqual([second.count('both'), second.count('only')], [1, 0])
  },
  'send-to reaches every device of one user': async (bench) => {
    const [cid, first, second] = await pair(bench)
    const other = await bench.client()
    const payload = { text: 'hi', n: 1 }
    assert.equal(await other.call('send-to', { cid, type: 'note', payload }), 2)
    assert.deepEqual([await first.take('note'), await second.take('note')], [payload, payload])
    await settled(other)
    assert.equal(other.count('note'), 0)
    assert.equal(await other.call('send-to', { cid: bench.user(), type: 'note', payload }), 0)
  },
  'broadcast reaches every device of every user': async (bench) => {
    const [, first, second] = await pair(bench)
    const other = await bench.client()
    const stranger = await bench.stranger()
    const users = (await other.call('clients')).length
    const payload = [{ deep: [1, null, 'x'] }]
    assert.equal(await other.call('broadcast', { type: 'news', payload }), users)
    for (const client of [first, second, other, bench.observer]) assert.deepEqual(await client.take('news'), payload)
    assert.equal(await other.call('broadcast', { type: 'bare' }), users)
    assert.equal(await first.take('bare'), null)
    await settled(first, second, other)
    for (const client of [first, second, other]) assert.deepEqual([client.count('news'), client.count('bare')], [1, 1])
    assert.deepEqual(stranger.received, [], 'a stranger hears nothing')
  },
  'drop-user closes every device': async (bench) => {
    const [cid, first, second] = await pair(bench)
    const other = await bench.client()
    assert.equal(await other.call('drop-user', { cid, reason: 'house rules' }), 2)
    for (const client of [first, second]) assertEnd(await client.end(), [1000, 'house rules'])
    const left = await bench.event({ event: 'left', cid })
    assert.deepEqual([left.code, left.reason], [1000, 'house rules'])
    const story = await bench.story(cid)
    assert.deepEqual(story.slice(-3), ['disconnected', 'disconnected', 'left'])
    assert.equal(await other.call('drop-user', { cid: bench.user(), reason: 'nobody there' }), 0)
  },
  'drop-user can drop who asks': async (bench) => {
    const client = await bench.client()
    client.call('drop-user', { cid: client.cid, reason: 'myself' }).catch(() => {})
    assertEnd(await client.end(), [1000, 'myself'])
    await bench.served()
  },
  'drop-client closes every device of this user': async (bench) => {
    const [cid, first, second] = await pair(bench)
    first.send('drop-client', { reason: 'enough' })
    for (const client of [first, second]) assertEnd(await client.end(), [1000, 'enough'])
    await bench.event({ event: 'left', cid })
    const left = (await bench.events(cid)).filter((event) => event.event === 'left')
    assert.deepEqual(
      left.map(({ code, reason }) => [code, reason]),
      [[1000, 'enough']],
    )
  },
  'drop-client without a reason gives the empty one': async (bench) => {
    const [, first, second] = await pair(bench)
    first.send('drop-client', {})
    for (const client of [first, second]) assertEnd(await client.end(), [1000, ''])
  },
  'call-user calls the oldest device': async (bench) => {
    const [cid, first, second] = await pair(bench)
    first.register('who', (payload) => ['first', payload])
    second.register('who', (payload) => ['second', payload])
    const caller = await bench.client()
    assert.deepEqual(await caller.call('call-user', { cid, rp: 'who', payload: 5 }), { ok: ['first', 5] })
    await first.close(1000, '')
    await bench.event({ event: 'disconnected', cid })
    assert.deepEqual(await caller.call('call-user', { cid, rp: 'who' }), { ok: ['second', null] })
  },
  'call-user to nobody fails': async (bench) => {
    const client = await bench.client()
    const { err } = await client.call('call-user', { cid: bench.user(), rp: 'who' })
    assert.equal(err.code, 'wse.server.client.connection-missing')
  },
  'only the connection that was called can answer': async (bench) => {
    const [cid, first, second] = await pair(bench)
    const caller = await bench.client()
    let asked
    first.register('who', (_, stamp) => {
      asked = stamp
      second.answer(stamp, 'forged')
      caller.answer(stamp, 'forged too')
      return settled(second, caller).then(() => 'true')
    })
    assert.deepEqual(await caller.call('call-user', { cid, rp: 'who' }), { ok: 'true' })
    assert.match(String(asked), /./)
    for (const client of [second, caller]) {
      assert.ok(
        client.received.every((message) => message[2] !== asked),
        'the forged answer was answered',
      )
    }
  },
}

const one = {
  'by default a second device evicts the first': async (bench) => {
    const cid = bench.user()
    const first = await bench.client(cid)
    const second = await bench.client(cid)
    assertEnd(await first.end(), EVICTED)
    await settled(second)
    assert.deepEqual((await bench.events(cid)).map((event) => event.event).sort(), [
      'connected',
      'connected',
      'disconnected',
      'joined',
    ])
    await second.close(4003, 'later')
    const left = await bench.event({ event: 'left', cid })
    assert.deepEqual([left.code, left.reason], [4003, 'later'])
  },
  'evictions in a row leave one': async (bench) => {
    const cid = bench.user()
    const clients = await Promise.all(Array.from({ length: 8 }, () => bench.client(cid).catch((closed) => closed)))
    const ended = clients.filter((each) => each.received !== undefined)
    const user = (await bench.observer.call('clients')).find((each) => each.cid === cid)
    assert.equal(user.conns, 1)
    const alive = ended.filter((client) => client.ws.readyState === 1)
    const answers = await Promise.allSettled(alive.map((client) => client.call('whoami')))
    assert.equal(answers.filter((answer) => answer.status === 'fulfilled').length, 1)
  },
}

export const groups = () => [
  { title: 'devices', flags: ['--conn-per-user', '2'], checks: two },
  { title: 'one device', checks: one },
]
