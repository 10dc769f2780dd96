// Events: joined, connected, disconnected, left, with true codes, in order, once.

import assert from 'node:assert/strict'

const ORDER = ['joined', 'connected', 'disconnected', 'left']

/** The client ends its connection with `leave`; both events must tell this code and reason. */
async function leaving(bench, leave, code, reason) {
  const client = await bench.client()
  const { conn_id: id } = await client.call('whoami')
  await leave(client)
  assert.deepEqual(await bench.story(client.cid), ORDER)
  const [, connected, disconnected, left] = await bench.events(client.cid)
  assert.deepEqual([connected.conn_id, disconnected.conn_id], [id, id])
  assert.deepEqual([disconnected.code, disconnected.reason], [code, reason])
  assert.deepEqual([left.code, left.reason], [code, reason])
}

const checks = {
  'closed with code and reason': (bench) =>
    leaving(bench, (client) => client.close(4005, 'so long ä'), 4005, 'so long ä'),
  'closed with 1000 and wse.by-client': (bench) =>
    leaving(bench, (client) => client.close(1000, 'wse.by-client'), 1000, 'wse.by-client'),
  'closed with a code alone': (bench) => leaving(bench, (client) => client.close(1001, ''), 1001, ''),
  'jumped away': (bench) => leaving(bench, (client) => client.close(4000, 'jump'), 4000, 'jump'),
  'closed without a code is 1005': (bench) => leaving(bench, (client) => client.close(), 1005, ''),
  'vanished is 1006': (bench) => leaving(bench, (client) => client.vanish(), 1006, ''),
  'the close frame is answered with the same code': async (bench) => {
    const client = await bench.client()
    const { code, reason } = await client.close(4123, 'echo me')
    assert.equal(code, 4123, `${code} ${reason}`)
  },
  'events are numbered, and since skips': async (bench) => {
    const client = await bench.client()
    client.send('record', 1)
    await bench.event({ event: 'message', cid: client.cid })
    const events = await bench.observer.call('events', { since: 0 })
    assert.deepEqual(
      events.map((event) => event.n),
      events.map((_, n) => n),
    )
    assert.deepEqual(await bench.observer.call('events', {}), events)
    assert.deepEqual(await bench.observer.call('events'), events)
    assert.deepEqual(await bench.observer.call('events', { since: 2 }), events.slice(2))
    assert.deepEqual(await bench.observer.call('events', { since: events.length }), [])
  },
  'a connection that never greeted is nobody': async (bench) => {
    const client = await bench.stranger()
    await client.close(1000, 'just looking')
    await bench.served()
    const names = (await bench.events(null)).map((event) => event.event)
    assert.ok(
      names.every((name) => name === 'disconnected'),
      names.join(),
    )
    assert.ok(
      (await bench.events()).every((event) => event.cid !== undefined),
      'cid must be null, not absent',
    )
  },
  'clients lists who is there': async (bench) => {
    const [one, two] = [await bench.client(), await bench.client()]
    const list = await one.call('clients')
    for (const { cid } of [one, two])
      assert.deepEqual(
        list.find((user) => user.cid === cid),
        { cid, conns: 1 },
      )
    await two.close(1000, '')
    await bench.event({ event: 'left', cid: two.cid })
    assert.ok(!(await one.call('clients')).some((user) => user.cid === two.cid))
  },
  'fifty users come and go': async (bench) => {
    const clients = await Promise.all(Array.from({ length: 50 }, () => bench.client()))
    await Promise.all(clients.map((client, at) => (at % 2 ? client.close(4000 + at, '') : client.vanish())))
    for (const { cid } of clients) await bench.event({ event: 'left', cid })
    for (const { cid } of clients) {
      assert.deepEqual(
        (await bench.events(cid)).map((event) => event.event),
        ORDER,
      )
    }
  },
}

export const groups = () => [{ title: 'lifecycle', checks }]
