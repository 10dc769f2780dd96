// Receipts of each device of a user, and messages that are sent until one of them has given a receipt.

import assert from 'node:assert/strict'
import { NOTE, RECEIPT, TYPES } from '../codecs.mjs'
import { OPCODE } from '../raw.mjs'

const giving = { receipts: true }
const kind = (bench) => (bench.codec.binary ? OPCODE.binary : OPCODE.text)

/** A client written by hand that says that it gives receipts, and gives none by itself. */
async function mute(bench, cid) {
  const raw = await bench.raw()
  const hi = [TYPES.hi, { identity: 'valid-secret', meta: { user_id: cid } }]
  raw.write(bench.frameWith(hi, RECEIPT))
  const welcome = await raw.next(kind(bench))
  assert.equal(bench.codec.unpack(welcome.payload)[0], TYPES.welcome)
  return raw
}

/** The next message of this type, as it is on the wire. */
const heard = (bench, raw, type) => raw.next(kind(bench), (payload) => bench.codec.unpack(payload)[0] === type)

const outcomes = (report) => report.map(({ outcome }) => outcome)

const checks = {
  'each device has an outcome, oldest first': async (bench) => {
    const cid = bench.user()
    const first = await bench.client(cid, giving)
    const silent = await mute(bench, cid)
    const older = await bench.client(cid)
    const last = await bench.client(cid, giving)
    const payload = { no: 7 }
    const report = await bench.observer.call('acked', { cid, type: 'invoice', payload, timeout: 0.3 })
    assert.deepEqual(outcomes(report), ['received', 'timed-out', 'unsupported', 'received'])
    assert.equal(report[0].conn_id, (await first.call('whoami')).conn_id)
    assert.equal(report[2].conn_id, (await older.call('whoami')).conn_id)
    for (const client of [first, last]) assert.deepEqual(await client.take('invoice'), payload)
    assert.ok(await heard(bench, silent, 'invoice'))
    assert.equal(older.count('invoice'), 0, 'it gives no receipts')
    assert.deepEqual(await bench.observer.call('acked', { cid: bench.user(), type: 'invoice' }), [])
  },
  'a receipt names the stamp of the message': async (bench) => {
    const cid = bench.user()
    const raw = await mute(bench, cid)
    const acked = bench.observer.call('acked', { cid, type: 'invoice', payload: 1, timeout: 3 })
    const { payload } = await heard(bench, raw, 'invoice')
    assert.equal(bench.codec.flags(payload), RECEIPT | NOTE)
    const stamp = bench.codec.unpack(payload)[2]
    raw.write(bench.frameWith([TYPES.receipt, null, `not ${stamp}`], NOTE))
    raw.write(bench.frameWith([TYPES.receipt, null, stamp], NOTE))
    assert.deepEqual(outcomes(await acked), ['received'])
  },
  'a device that ends first is disconnected': async (bench) => {
    const cid = bench.user()
    const raw = await mute(bench, cid)
    const acked = bench.observer.call('acked', { cid, type: 'invoice', payload: 1, timeout: 3 })
    await heard(bench, raw, 'invoice')
    raw.destroy()
    assert.deepEqual(outcomes(await acked), ['disconnected'])
  },
  'reliable is delivered by one device': async (bench) => {
    const cid = bench.user()
    const silent = await mute(bench, cid)
    const client = await bench.client(cid, giving)
    const sent = await bench.observer.call('reliable', { cid, type: 'order', payload: 'bread', timeout: 3 })
    assert.deepEqual(sent, { delivered: true })
    assert.equal(await client.take('order'), 'bread')
    assert.ok(await heard(bench, silent, 'order'))
    assert.ok(!(await bench.events(cid)).some((event) => event.event === 'undelivered'))
  },
  'reliable to nobody is undelivered at once': async (bench) => {
    const cid = bench.user()
    const payload = { bread: [1, 2] }
    const sending = bench.observer.call('reliable', { cid, type: 'order', payload, timeout: 3 })
    const event = await bench.event({ event: 'undelivered', cid })
    assert.deepEqual([event.type, event.payload], ['order', payload])
    // Who comes later still gets it.
    const client = await bench.client(cid, giving)
    assert.deepEqual(await client.take('order'), payload)
    assert.deepEqual(await sending, { delivered: true })
  },
  'reliable without a receipt is undelivered once': async (bench) => {
    const cid = bench.user()
    await mute(bench, cid)
    const sent = await bench.observer.call('reliable', { cid, type: 'order', payload: null, timeout: 0.3 })
    assert.deepEqual(sent, { delivered: false })
    await bench.event({ event: 'undelivered', cid, type: 'order', payload: null })
    const events = (await bench.events(cid)).filter((event) => event.event === 'undelivered')
    assert.equal(events.length, 1)
  },
}

export const groups = () => [{ title: 'receipts', flags: ['--conn-per-user', '4'], checks }]
