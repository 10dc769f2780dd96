// Everything a format allows another language's library to write, checked byte by byte.

import assert from 'node:assert/strict'
import { TYPES } from '../codecs.mjs'

const text = (string) => {
  const bytes = Buffer.from(string)
  return Buffer.concat([Buffer.from([0x60 + bytes.length]), bytes])
}
const field = (number, bytes) => Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), Buffer.from(bytes)])
const hex = (string) => Buffer.from(string.replaceAll(' ', ''), 'hex')

/** Sends these bytes, which call `echo` with the stamp `s`, and returns what comes back. */
async function echoed(bench, message) {
  const client = await bench.client()
  const answer = client.call('slow', { ms: 100 })
  client.raw(message)
  await answer
  const replies = client.received.filter((each) => each?.[2] === 's')
  assert.equal(replies.length, 1, `${replies.length} answers`)
  const [type, payload] = replies[0]
  assert.equal(type, TYPES.response, payload?.code)
  return payload
}

async function counted(bench, message) {
  const client = await bench.client()
  client.raw(message)
  assert.deepEqual(await client.take('count'), { count: 1 })
}

/** What the server sends, as it is on the wire. */
async function sent(bench, message) {
  const raw = await bench.rawClient()
  const opcode = bench.codec.binary ? 2 : 1
  const known = raw.frames.length
  raw.write(bench.frameOf(message))
  const got = await raw.next(opcode, (payload) => raw.frames.findIndex((each) => each.payload === payload) >= known)
  return got.payload
}

const common = {
  'messages go in frames of the right kind': async (bench) => {
    const raw = await bench.rawClient()
    assert.deepEqual(
      raw.frames.map((each) => each.opcode),
      [bench.codec.binary ? 2 : 1],
    )
  },
}

/** `wrap` is what the protocol puts before the JSON. */
const json = (wrap) => ({
  'answers have exactly three elements': async (bench) => {
    const messages = [
      [['echo', { a: 1 }, 'st'], '["~wse:response",{"a":1},"st"]'],
      [['nothing', null, 'st'], '["~wse:response",null,"st"]'],
      [['hey', null, null], '["both",null,null]'],
      [['count', { count: 1 }, null], '["count",{"count":2},null]'],
    ]
    for (const [message, expected] of messages) assert.equal((await sent(bench, message)).toString(), wrap + expected)
  },
  'an unknown procedure is answered without details': async (bench) => {
    const [type, { code }, stamp] = bench.codec.unpack(await sent(bench, ['no-such', null, 'st']))
    assert.deepEqual([type, code, stamp], [TYPES.fault, 'wse.server.rp.not-registered', 'st'])
  },
  'short arrays are taken': async (bench) => {
    for (const message of ['["count"]', '["count",null]', '["count",{}]']) await counted(bench, wrap + message)
  },
  'space around everything is taken': async (bench) => {
    assert.deepEqual(await echoed(bench, `${wrap} [ "echo" ,\n\t{ "a" : [ 1 , 2 ] } , "s" ]\r\n`), { a: [1, 2] })
  },
  'escapes are read in type, stamp and payload': async (bench) => {
    assert.equal(await echoed(bench, `${wrap}["\\u0065cho","\\ud83d\\ude00\\/\\u00e9","\\u0073"]`), '😀/é')
  },
  'numbers in every notation': async (bench) => {
    const numbers = await echoed(bench, `${wrap}["echo",[1e3,-0.5E-1,1.0,9007199254740991],"s"]`)
    assert.deepEqual(numbers, [1000, -0.05, 1, 9007199254740991])
  },
  'an empty stamp is none': async (bench) => counted(bench, `${wrap}["count",null,""]`),
})

const cbor = () => ({
  'the array comes back in canonical form': async (bench) => {
    const reply = await sent(bench, ['nothing', null, 'st'])
    assert.equal(
      reply.toString('hex'),
      Buffer.concat([hex('83'), text('~wse:response'), hex('f6'), text('st')]).toString('hex'),
    )
  },
  'integers stay integers': async (bench) => {
    const reply = await sent(bench, ['echo', [1, -1, 1000], 'st'])
    assert.ok(reply.includes(hex('83 01 20 1903e8')), reply.toString('hex'))
  },
  'short arrays are taken': async (bench) => {
    await counted(bench, Buffer.concat([hex('81'), text('count')]))
    await counted(bench, Buffer.concat([hex('82'), text('count'), hex('a0')]))
  },
  'arrays, maps and texts of indefinite length are taken': async (bench) => {
    const parts = [hex('9f'), text('echo'), hex('bf'), text('a'), hex('9f 01 02 ff'), hex('ff'), text('s'), hex('ff')]
    assert.deepEqual(await echoed(bench, Buffer.concat(parts)), { a: [1, 2] })
    const chunked = [
      hex('83 7f'),
      text('ec'),
      text('ho'),
      hex('ff 7f'),
      text('x'),
      text('y'),
      hex('ff 7f'),
      text('s'),
      hex('ff'),
    ]
    assert.equal(await echoed(bench, Buffer.concat(chunked)), 'xy')
  },
  'lengths longer than needed are taken': async (bench) => {
    const parts = [hex('9a 00000003 78 04'), Buffer.from('echo'), hex('19 0007 79 0001'), Buffer.from('s')]
    assert.equal(await echoed(bench, Buffer.concat(parts)), 7)
  },
  'floats of all three widths are read': async (bench) => {
    const parts = [hex('83'), text('echo'), hex('83 f93e00 fa3fc00000 fb3ff8000000000000'), text('s')]
    assert.deepEqual(await echoed(bench, Buffer.concat(parts)), [1.5, 1.5, 1.5])
  },
  'undefined counts as null': async (bench) => {
    assert.equal(await echoed(bench, Buffer.concat([hex('83'), text('echo'), hex('f7'), text('s')])), null)
    await counted(bench, Buffer.concat([hex('83'), text('count'), hex('f7 f7')]))
  },
  '64-bit integers come back': async (bench) => {
    for (const number of ['1b 7fffffffffffffff', '1b ffffffffffffffff', '3b 7fffffffffffffff']) {
      const bytes = BigInt(`0x${number.slice(3)}`)
      const back = await echoed(bench, Buffer.concat([hex('83'), text('echo'), hex(number), text('s')]))
      assert.equal(BigInt(back), number.startsWith('3b') ? -1n - bytes : bytes)
    }
  },
  'an empty stamp is none': async (bench) => counted(bench, Buffer.concat([hex('83'), text('count'), hex('f6 60')])),
})

const protobuf = () => ({
  'null is no bytes, no stamp is no field': async (bench) => {
    const reply = await sent(bench, ['nothing', null, 'st'])
    assert.ok(reply.equals(Buffer.concat([field(1, '~wse:response'), field(3, 'st')])), reply.toString('hex'))
    const both = await sent(bench, ['hey', null, null])
    assert.ok(both.equals(field(1, 'both')), both.toString('hex'))
  },
  'fields in any order, the last one counts': async (bench) => {
    const value = field(3, 'hi')
    assert.equal(await echoed(bench, Buffer.concat([field(3, 's'), field(2, value), field(1, 'echo')])), 'hi')
    const doubled = [field(1, 'nope'), field(3, 'other'), field(1, 'echo'), field(2, value), field(3, 's')]
    assert.equal(await echoed(bench, Buffer.concat(doubled)), 'hi')
  },
  'unknown fields are skipped': async (bench) => {
    const unknown = [hex('78 96 01'), field(14, 'x'), hex('6d 00000000'), hex('69 0000000000000000')]
    const message = [
      unknown[0],
      field(1, 'echo'),
      unknown[1],
      field(2, field(3, 'hi')),
      unknown[2],
      field(3, 's'),
      unknown[3],
    ]
    assert.equal(await echoed(bench, Buffer.concat(message)), 'hi')
  },
  'a null written out is null': async (bench) => {
    assert.equal(await echoed(bench, Buffer.concat([field(1, 'echo'), field(2, hex('08 00')), field(3, 's')])), null)
  },
  'empty fields written out are absent': async (bench) => {
    await counted(bench, Buffer.concat([field(1, 'count'), field(2, ''), field(3, ''), hex('20 00')]))
  },
  'zero, false and the empty text are values': async (bench) => {
    for (const [value, expected] of [
      ['11 0000000000000000', 0],
      ['20 00', false],
      ['1a 00', ''],
      ['2a 00', {}],
      ['32 00', []],
    ]) {
      assert.deepEqual(
        await echoed(bench, Buffer.concat([field(1, 'echo'), field(2, hex(value)), field(3, 's')])),
        expected,
      )
    }
  },
})

const sets = { json: () => json(''), custom: () => json('CUSTOM:'), cbor, protobuf }

export const groups = (_, protocol) => [{ title: 'wire', checks: { ...common, ...sets[protocol]() } }]
