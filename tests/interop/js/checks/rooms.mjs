// Rooms: who is in them, what their members get, and the events about them.

import assert from 'node:assert/strict'
import { faultOf } from '../bench.mjs'

/** All that was sent to the clients has come once a call that started later is answered. */
const settled = (...clients) => Promise.all(clients.map((client) => client.call('add', { a: 1, b: 1 })))

/** A room that no other check uses, and clients in it. */
async function party(bench, ...cids) {
  const room = bench.user('room')
  const clients = []
  for (const cid of cids) {
    const client = await bench.client(cid)
    assert.equal(await client.call('join', { room }), clients.length + 1)
    clients.push(client)
  }
  return [room, ...clients]
}

const checks = {
  'join and leave tell how many are in the room': async (bench) => {
    const [room, first, second] = await party(bench, bench.user(), bench.user())
    assert.equal(await first.call('join', { room }), 2, 'it is in it already')
    assert.equal(await first.call('leave', { room }), 1)
    assert.equal(await first.call('leave', { room }), 1)
    assert.equal(await second.call('leave', { room }), 0)
    assert.deepEqual(await second.call('members', { room }), [])
  },
  'rooms are sorted': async (bench) => {
    const client = await bench.client()
    const room = bench.user('room')
    for (const name of ['b', 'a', 'ä', 'c']) await client.call('join', { room: `${room} ${name}` })
    await client.call('leave', { room: `${room} c` })
    assert.deepEqual(await client.call('rooms'), [`${room} a`, `${room} b`, `${room} ä`])
    assert.deepEqual(await (await bench.client()).call('rooms'), [])
  },
  'members are users with their devices': async (bench) => {
    const cids = [bench.user(), bench.user()].sort()
    const [room, , , other] = await party(bench, cids[1], cids[0], cids[1])
    const all = [
      { cid: cids[0], conns: 1 },
      { cid: cids[1], conns: 2 },
    ]
    assert.deepEqual(await other.call('members', { room }), all)
    await other.call('leave', { room })
    assert.deepEqual(await other.call('members', { room }), [all[0], { cid: cids[1], conns: 1 }])
  },
  'room-send reaches the members only': async (bench) => {
    const [room, first, second, third] = await party(bench, bench.user(), bench.user(), bench.user())
    const outside = await bench.client()
    const payload = { text: 'hi', list: [1, null, 'x'] }
    assert.equal(await outside.call('room-send', { room, type: 'said', payload }), 3)
    for (const client of [first, second, third]) assert.deepEqual(await client.take('said'), payload)
    assert.equal(await first.call('room-send', { room, type: 'said', payload: 2, except: true }), 2)
    assert.deepEqual([await second.take('said'), await third.take('said')], [2, 2])
    await third.call('leave', { room })
    assert.equal(await first.call('room-send', { room, type: 'said', payload: 3, except: false }), 2)
    assert.deepEqual([await first.take('said'), await second.take('said')], [3, 3])
    await settled(first, second, third, outside)
    assert.deepEqual(
      [first, second, third, outside].map((client) => client.count('said')),
      [2, 3, 2, 0],
    )
    assert.equal(await first.call('room-send', { room: bench.user('room'), type: 'said', payload: 4 }), 0)
  },
  'a connection that ends leaves its rooms, and then comes disconnected': async (bench) => {
    const cid = bench.user()
    const [room, leaving, staying] = await party(bench, cid, bench.user())
    const { conn_id } = await leaving.call('whoami')
    await leaving.call('join', { room: `${room} 2` })
    await leaving.close(1000, 'bye')
    assert.deepEqual(await bench.story(cid), [
      'joined',
      'connected',
      'entered',
      'entered',
      'exited',
      'exited',
      'disconnected',
      'left',
    ])
    const exited = (await bench.events(cid)).filter((event) => event.event === 'exited')
    assert.deepEqual(
      exited.map((event) => [event.conn_id, event.room]),
      [
        [conn_id, room],
        [conn_id, `${room} 2`],
      ],
    )
    assert.deepEqual(await staying.call('members', { room }), [{ cid: staying.cid, conns: 1 }])
    assert.equal(await staying.call('room-send', { room, type: 'said', payload: 1 }), 1)
  },
  'leave is an event': async (bench) => {
    const cid = bench.user()
    const [room, client] = await party(bench, cid)
    await client.call('leave', { room })
    await bench.event({ event: 'entered', cid, room })
    await bench.event({ event: 'exited', cid, room })
  },
  'rooms and names have limits': async (bench) => {
    const client = await bench.client()
    const room = bench.user('room')
    await client.call('join', { room: 'ü'.repeat(64) })
    assert.equal((await faultOf(client.call('join', { room: 'ü'.repeat(65) }))).code, 'wse.server.rp.failed')
    for (let n = 1; n < 64; n += 1) await client.call('join', { room: `${room} ${n}` })
    const { code, message } = await faultOf(client.call('join', { room: `${room} 64` }))
    assert.deepEqual([code, /64 rooms/.test(message)], ['wse.server.rp.failed', true])
    await client.call('leave', { room: `${room} 1` })
    await client.call('join', { room: `${room} 64` })
    assert.equal((await client.call('rooms')).length, 64)
  },
  'ticks come in order, after the answer': async (bench) => {
    const client = await bench.client()
    assert.equal(await client.call('ticks', { n: 20, ms: 2 }), 20)
    for (let n = 1; n <= 20; n += 1) assert.equal(await client.take('tick'), n)
    const types = client.received.map(([type]) => type)
    assert.ok(types.indexOf('tick') > types.indexOf('~wse:response'))
  },
}

export const groups = () => [{ title: 'rooms', flags: ['--conn-per-user', '3'], checks }]
