// Notes in both directions, with and without acknowledgement.

import assert from 'node:assert/strict'
import { sleep, until } from '../wait.mjs'
import { acked, assertOutcomes, QUIET, SOON } from './bench.mjs'

const count = (list, wanted) => list.filter((it) => JSON.stringify(it) === JSON.stringify(wanted)).length

/** Waits until the endpoint has this note in its list, so often. */
const listed = (bench, note, times = 1) => until(SOON, `the note ${JSON.stringify(note)}`, async () => {
  return count(await bench.witness.request({ do: 'notes' }), note) === times
})

export const groups = [
  {
    title: 'notes',
    checks: {
      'notes to the endpoint are listed': async (bench) => {
        const client = await bench.client()
        const notes = [bench.tag(), { a: bench.tag() }, [bench.tag(), null], 0, false, '', 4711]
        for (const note of notes) await client.note(note)
        for (const note of notes) await listed(bench, note)
        const all = await client.request({ do: 'notes' })
        assert.deepEqual(all.slice(-notes.length), notes)
        assert.deepEqual(client.heard('error'), [])
      },
      'a note may carry null, or no data at all': async (bench) => {
        const raw = await bench.raw()
        raw.send({ type: 'note', sendAck: false, stamp: 'null', data: null })
        await listed(bench, null, 1)
        raw.send({ type: 'note', sendAck: false, stamp: 'none' })
        await listed(bench, null, 2)
        assert.deepEqual(raw.heard(), [])
      },
      'a note needs neither stamp nor sendAck': async (bench) => {
        const [raw, note] = [await bench.raw(), bench.tag()]
        raw.send({ type: 'note', data: note })
        await listed(bench, note)
        assert.deepEqual(raw.heard(), [])
      },
      'a note is acknowledged before it is worked on': async (bench) => {
        const [client, value] = [await bench.client(), bench.tag()]
        assert.equal(await client.note({ do: 'reply', value }, { sendAck: true }), 0)
        await until(SOON, 'the reply', () => client.notes.length)
        assert.deepEqual(client.notes, [value])
        assert.deepEqual(client.order(), ['note', '<noteAck', '<note'])
        assert.deepEqual(client.heard()[0], { type: 'noteAck', stamp: client.log[0].message.stamp })
        await listed(bench, { do: 'reply', value })
      },
      'a note that wants a reply gets it as a note': async (bench) => {
        const client = await bench.client()
        const values = [bench.tag(), 0, [1, { a: null }], false, '', null]
        for (const value of values) await client.note({ do: 'reply', value })
        await until(SOON, 'the replies', () => client.notes.length === values.length)
        assert.deepEqual(client.notes.map((note) => note ?? null), values)
        for (const note of client.heard('note')) assert.equal(note.sendAck, false)
      },
      'many notes come in order': async (bench) => {
        const [client, tag] = [await bench.client(), bench.tag()]
        const notes = Array.from({ length: 300 }, (_, at) => `${tag}: ${at}`)
        await Promise.all(notes.map((note, at) => client.note(note, { sendAck: at % 2 === 0 })))
        await listed(bench, notes.at(-1))
        const all = await client.request({ do: 'notes' })
        assert.deepEqual(all.filter((it) => String(it).startsWith(`${tag}: `)), notes)
      },
      'the endpoint sends a note behind its response': async (bench) => {
        const client = await bench.client()
        for (const note of ['hello', { a: [1] }, 0]) {
          const before = client.notes.length
          assert.equal(await client.request({ do: 'send-note', note, ack: false }), true)
          await until(SOON, 'the note', () => client.notes.length > before)
          assert.deepEqual(client.notes.at(-1), note)
        }
        assert.deepEqual(client.order(), Array(3).fill(['request', '<response', '<note']).flat())
        for (const note of client.heard('note')) assert.equal(note.sendAck, false)
      },
      'only the asker gets the note': async (bench) => {
        const [client, other] = [await bench.client(), await bench.client()]
        await client.request({ do: 'send-note', note: 'yours', ack: false })
        await until(SOON, 'the note', () => client.notes.length)
        await sleep(QUIET)
        assert.deepEqual(other.heard(), [])
      },
      'an acknowledged note is status 0': async (bench) => {
        const [client, tag] = [await bench.client(), bench.tag()]
        await client.request({ do: 'send-note', note: 'n', ack: true, timeout: 5, tag })
        assertOutcomes(await bench.outcomes(tag, 1), acked(0))
        assert.deepEqual(client.order(), ['request', '<response', '<note', 'noteAck'])
        assert.equal(client.heard('note')[0].sendAck, true)
      },
      'a note without acknowledgement has no outcome': async (bench) => {
        const [client, tag] = [await bench.client(), bench.tag()]
        await client.request({ do: 'send-note', note: 'n', ack: false, timeout: 0.1, tag })
        await sleep(2 * QUIET)
        assertOutcomes(await bench.outcomes(tag, 0))
      },
      'an acknowledgement of a note that does not come is status 2': async (bench) => {
        const [raw, tag] = [await bench.raw(), bench.tag()]
        await raw.request({ do: 'send-note', note: 'n', ack: true, timeout: 0.5, tag })
        const { stamp } = await raw.expect('the note', ({ type }) => type === 'note')
        assert.deepEqual(await bench.witness.request({ do: 'outcomes', tag }), [])
        assertOutcomes(await bench.outcomes(tag, 1), acked(2))
        raw.send({ type: 'noteAck', stamp })
        await raw.usable()
        assertOutcomes(await bench.outcomes(tag, 1), acked(2))
        assert.equal(raw.heard('note').length, 1)
      },
      'an acknowledgement of a note that cannot come any more is status 1': async (bench) => {
        for (const end of [(raw) => raw.socket.close(), (raw) => raw.terminate()]) {
          const [raw, tag] = [await bench.raw(), bench.tag()]
          await raw.request({ do: 'send-note', note: 'n', ack: true, timeout: 20, tag })
          await raw.expect('the note', ({ type }) => type === 'note')
          end(raw)
          assertOutcomes(await bench.outcomes(tag, 1), acked(1))
        }
      },
      'notes are acknowledged in any order': async (bench) => {
        const raw = await bench.raw()
        const tags = [bench.tag(), bench.tag(), bench.tag()]
        for (const tag of tags) await raw.request({ do: 'send-note', note: tag, ack: true, timeout: 1.5, tag })
        const stamps = new Map()
        for (const tag of tags) {
          stamps.set(tag, (await raw.expect('the note', ({ data }) => data === tag)).stamp)
        }
        assert.equal(new Set(stamps.values()).size, 3, 'stamps are used twice')
        raw.send({ type: 'noteAck', stamp: stamps.get(tags[2]) })
        raw.send({ type: 'noteAck', stamp: stamps.get(tags[0]) })
        for (const [at, status] of [0, 2, 0].entries()) {
          assertOutcomes(await bench.outcomes(tags[at], 1), acked(status))
        }
      },
      'a client whose notes are not acknowledged in its time is told by nobody else': async (bench) => {
        const [raw, other, tag] = [await bench.raw(), await bench.raw(), bench.tag()]
        await raw.request({ do: 'send-note', note: 'n', ack: true, timeout: 0.6, tag })
        const { stamp } = await raw.expect('the note', ({ type }) => type === 'note')
        other.send({ type: 'noteAck', stamp })
        await other.usable()
        assertOutcomes(await bench.outcomes(tag, 1), acked(2))
      },
    },
  },
]
