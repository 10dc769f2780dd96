// The table "Malformed input": the connection stays usable, and nobody else notices (the bench looks after that).

import assert from 'node:assert/strict'
import { sleep, until } from '../wait.mjs'
import { assertOutcomes, QUIET, SOON, success } from './bench.mjs'

/** Names that every object of JavaScript has. */
const INHERITED = ['toString', 'constructor', 'hasOwnProperty', '__proto__', '__defineGetter__', 'valueOf']

const NO_JSON = [
  '', ' ', 'x', '{', '}', '[', '{"type":"note"', '{"type":"note",}', "{'type':'note'}", '{type:"note"}', '{"type":note}',
  '{"type":"note"} x', '{"type":"note"}{"type":"note"}', 'undefined', 'NaN', '"open', '\u{feff}{"type":"note"}', '//',
  '{"type":"request","stamp":"s","data":{"do":"echo","value":01}}', '{"type":"ping","data":+1}', '\u0000',
]
const NO_TYPE = [
  '{}', '{"data":1}', '{"Type":"note"}', '{"stamp":"s","data":{"do":"echo","value":1}}', '{"":"note"}', ' { } ',
]
const NO_OBJECT = ['5', '0', 'null', 'true', 'false', '"text"', '""', '-1e3', '[]', '["note"]', '[{"type":"note"}]']
const UNKNOWN_TYPE = [
  ...['nope', '', 'Note', 'note ', 'notes', 'acks', ...INHERITED].map((type) => JSON.stringify({ type, stamp: 's', data: 1 })),
  '{"__proto__":1,"type":"__proto__"}', '{"type":"__proto__"}', '{"type":"note\\u0000"}',
]
const ODD_TYPE = ['null', '5', '0', 'true', 'false', '{}', '[]', '["note"]', '{"type":"note"}']
const INCOMPLETE = [
  '{"type":"request"}', '{"type":"request","sendAck":true}', '{"type":"request","stamp":"s"}',
  '{"type":"request","stamp":"s","data":null}', '{"type":"request","data":{"do":"echo","value":1}}',
  '{"type":"request","sendAck":true,"stamp":"s"}', '{"type":"request","sendAck":true,"data":{"do":"echo","value":1}}',
]
const ACKNOWLEDGEMENTS = ['noteAck', 'requestAck', 'responseAck']

/** Sends this to a connection of its own; what came of it, and that the connection is as it was. */
async function reaction(bench, text, { error = false } = {}) {
  const raw = await bench.raw()
  await raw.usable()
  const before = raw.heard().length
  raw.send(text)
  const came = () => raw.heard().slice(before)
  if (error) await raw.expect(`an error message about ${text.slice(0, 60)}`, ({ type }) => type === 'error')
  await raw.usable()
  await raw.usable()
  const odd = came().filter(({ type, data }) => type !== 'error' && !String(data).startsWith('usable'))
  assert.deepEqual(odd, [], `because of ${text.slice(0, 60)}`)
  return raw
}

/** As `reaction` with an error, or the connection is closed. */
async function errorOrEnd(bench, text) {
  const raw = await bench.raw()
  raw.send(text)
  await until(SOON, `an error message or the end, because of ${text}`, () => raw.end || raw.heard('error').length)
  if (!raw.end) await raw.usable()
}

const each = (texts, options) => async (bench) => {
  for (const text of texts) await reaction(bench, text, options)
}

export const groups = [
  {
    title: 'malformed',
    checks: {
      'what is no JSON gets an error message': each(NO_JSON, { error: true }),
      'what has no type gets an error message': each(NO_TYPE, { error: true }),
      'what is no object gets an error message, or ends the connection': async (bench) => {
        for (const text of NO_OBJECT) await errorOrEnd(bench, text)
      },
      'unknown types harm nobody': each(UNKNOWN_TYPE),
      'types that are no text harm nobody': each(ODD_TYPE.map((type) => `{"type":${type},"stamp":"s","data":1}`)),
      'a request without stamp or data gets an error message': each(INCOMPLETE, { error: true }),
      'acknowledgements of what was never sent harm nobody': each(
        ACKNOWLEDGEMENTS.flatMap((type) => {
          return ['nobody', '', ...INHERITED].map((stamp) => JSON.stringify({ type, stamp }))
        }),
      ),
      'acknowledgements without a stamp harm nobody': each(
        ACKNOWLEDGEMENTS.flatMap((type) => {
          return ['', ',"stamp":null', ',"stamp":0', ',"stamp":{}', ',"stamp":[]'].map((it) => `{"type":"${type}"${it}}`)
        }),
      ),
      'responses to what was never asked harm nobody': each(
        ['nobody', '', ...INHERITED].flatMap((stamp) => [
          JSON.stringify({ type: 'response', sendAck: false, stamp, data: 1, failureCode: 0 }),
          JSON.stringify({ type: 'response', sendAck: false, stamp, data: 'no', failureCode: 7 }),
        ]),
      ),
      'responses without stamp or data harm nobody': each([
        '{"type":"response"}', '{"type":"response","data":1,"failureCode":0}', '{"type":"response","stamp":"s"}',
        '{"type":"response","stamp":null,"data":1}', '{"type":"response","stamp":{},"data":1}',
      ]),
      'pongs that belong to no ping get no answer': async (bench) => {
        for (const data of ['999', '-1', '"x"', 'null', '{}', '[]', '1.5', ...INHERITED.map((it) => JSON.stringify(it))]) {
          const raw = await reaction(bench, `{"type":"pong","data":${data}}`)
          assert.deepEqual(raw.heard('error'), [], data)
        }
        const raw = await reaction(bench, '{"type":"pong"}')
        assert.deepEqual(raw.heard('error'), [])
      },
      'error messages are listed and never answered': async (bench) => {
        const raw = await bench.raw()
        const texts = [bench.tag(), `${bench.tag()} "ä😀"\n`, `${bench.tag()} ${'x'.repeat(10_000)}`]
        for (const data of texts) raw.send({ type: 'error', data })
        const { data } = await raw.request({ do: 'errors' })
        assert.deepEqual(data.slice(-texts.length), texts)
        await sleep(QUIET)
        assert.equal(raw.heard().length, 1)
      },
      'error messages without a text are not answered': async (bench) => {
        for (const member of ['', ',"data":null', ',"data":5', ',"data":{}', ',"data":[]', ',"data":true']) {
          const raw = await reaction(bench, `{"type":"error"${member}}`)
          assert.deepEqual(raw.heard('error'), [], member)
        }
        for (const text of await bench.witness.request({ do: 'errors' })) assert.equal(typeof text, 'string')
      },
      'one connection may send all of it': async (bench) => {
        const raw = await bench.raw()
        const texts = [...NO_JSON, ...NO_TYPE, ...UNKNOWN_TYPE, ...INCOMPLETE]
        for (const text of texts) raw.send(text)
        await raw.usable()
        const wanted = NO_JSON.length + NO_TYPE.length + INCOMPLETE.length
        await until(SOON, 'all error messages', () => raw.heard('error').length >= wanted)
        await raw.usable()
      },
      'what runs is not disturbed': async (bench) => {
        const [raw, tag] = [await bench.raw(), bench.tag()]
        const { stamp } = await raw.asked('q', { timeout: 10, tag })
        raw.send({ type: 'request', sendAck: false, stamp: 'slow', data: { do: 'slow', ms: 300, value: 'done' } })
        for (const text of [...NO_JSON, ...NO_TYPE, ...UNKNOWN_TYPE]) raw.send(text)
        raw.send({ type: 'response', sendAck: false, stamp, data: 'a', failureCode: 0 })
        assertOutcomes(await bench.outcomes(tag, 1), success('a'))
        assert.equal((await raw.expect('the slow one', (it) => it.stamp === 'slow')).data, 'done')
      },
      'deep nesting harms nobody': async (bench) => {
        for (const depth of [200, 5000, 100_000]) {
          const raw = await bench.raw()
          const value = '['.repeat(depth) + ']'.repeat(depth)
          raw.send(`{"type":"request","stamp":"deep","data":{"do":"echo","value":${value}}}`)
          const done = () => raw.end || raw.heard().some(({ type, stamp }) => type === 'error' || stamp === 'deep')
          await until(SOON, 'an answer', done).catch(() => {})
          assert.equal(await bench.witness.request({ do: 'echo', value: depth }), depth)
        }
      },
      'bytes that are no text end only their own connection': async (bench) => {
        const raw = await bench.raw()
        raw.socket.send(Buffer.from([0x7b, 0xff, 0xfe]), { binary: false })
        await until(SOON, 'an error message or the end', () => raw.end || raw.heard('error').length)
        assert.equal(await bench.witness.request({ do: 'echo', value: 'here' }), 'here')
      },
    },
  },
]
