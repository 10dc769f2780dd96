// RFC 6455 below the messages: fragments, control frames, broken frames, sizes.

import assert from 'node:assert/strict'
import { assertEnd, VIOLATION } from '../bench.mjs'
import { closing, frame, OPCODE } from '../raw.mjs'

const MAX = 40_000
const { continuation, text, binary, close, ping, pong } = OPCODE

/** A welcomed connection sends these frames and must be closed with one of the codes. */
async function broken(bench, frames, codes, code) {
  const raw = await bench.rawClient()
  raw.write(Buffer.concat(frames))
  assertEnd(await raw.end(), ...codes)
  await bench.event({ event: 'left', cid: raw.cid })
  if (code) await bench.event({ event: 'error', cid: raw.cid, code })
  await bench.served()

  const stranger = await bench.raw()
  stranger.write(Buffer.concat(frames))
  assertEnd(await stranger.end(), ...codes)
  await bench.served()
}

const violation =
  (...frames) =>
  (bench) =>
    broken(bench, frames, [1002], 'wse.server.connection-error')

const good = (kind) => ({
  'fragments make one message, with a ping between': async (bench) => {
    const raw = await bench.rawClient()
    const packed = Buffer.from(bench.codec.pack(['count', { count: 1 }, null]))
    raw.write(frame(kind, packed.subarray(0, 3), { fin: false }))
    raw.write(frame(ping, 'are you there'))
    assert.equal((await raw.next(pong)).payload.toString(), 'are you there')
    for (const byte of packed.subarray(3)) raw.write(frame(continuation, [byte], { fin: false }))
    raw.write(frame(continuation, ''))
    const answer = await raw.next(kind, (payload) => bench.codec.unpack(payload)[0] === 'count')
    assert.deepEqual(bench.codec.unpack(answer.payload)[1], { count: 2 })
  },
  'bytes may trickle in one by one': async (bench) => {
    const raw = await bench.rawClient()
    raw.socket.setNoDelay(true)
    for (const byte of bench.frameOf(['count', { count: 2 }, null])) {
      raw.write(Buffer.from([byte]))
      await new Promise(setImmediate)
    }
    const answer = await raw.next(kind, (payload) => bench.codec.unpack(payload)[0] === 'count')
    assert.deepEqual(bench.codec.unpack(answer.payload)[1], { count: 3 })
  },
  'pings are answered, pongs are not': async (bench) => {
    const raw = await bench.rawClient()
    raw.write(Buffer.concat([frame(pong, 'unasked'), frame(ping, ''), frame(ping, 'p'.repeat(125))]))
    await raw.next(pong, (payload) => payload.length === 125)
    assert.ok(raw.frames.every((each) => each.payload.toString() !== 'unasked'))
    await bench.served()
  },
  'a close frame is answered and TCP ends': async (bench) => {
    const raw = await bench.rawClient()
    raw.write(frame(close, closing(4100, 'bye')))
    assert.equal((await raw.end()).code, 4100)
    await raw.ended
    const { code, reason } = await bench.event({ event: 'disconnected', cid: raw.cid })
    assert.deepEqual([code, reason], [4100, 'bye'])
  },
})

const bad = (kind) => ({
  'reserved bits': async (bench) => {
    for (const rsv of [1, 2, 4]) await violation(frame(kind, 'x', { rsv }))(bench)
  },
  'reserved opcodes': async (bench) => {
    for (const opcode of [3, 7, 11, 15]) await violation(frame(opcode, 'x'))(bench)
  },
  'a frame without a mask': violation(frame(kind, 'x', { masked: false })),
  'a continuation of nothing': violation(frame(continuation, 'x')),
  'a new message inside a fragmented one': violation(frame(kind, 'x', { fin: false }), frame(kind, 'y')),
  'a fragmented ping': violation(frame(ping, 'x', { fin: false })),
  'a ping that is too long': violation(frame(ping, 'x'.repeat(126))),
  'a close frame of one byte': violation(frame(close, 'x')),
  'close codes nobody may send': async (bench) => {
    for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000]) await violation(frame(close, closing(code)))(bench)
  },
  'a close reason that is not UTF-8': (bench) =>
    broken(bench, [frame(close, Buffer.concat([closing(1000), Buffer.from([0xff])]))], [1007, 1002]),
  'an announced length beyond reason': async (bench) => {
    for (const announced of [2n ** 40n, 2n ** 62n, 2n ** 63n, 2n ** 64n - 1n]) {
      await broken(bench, [frame(kind, '', { announced })], [1009, 1002], 'wse.server.connection-error')
    }
  },
  'text that is not UTF-8': async (bench) => {
    const codes = kind === text ? [1007] : [1007, 1003, VIOLATION]
    for (const bytes of [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x61, 0xc3]]) {
      await broken(bench, [frame(text, Buffer.from(bytes))], codes)
    }
    await broken(bench, [frame(text, 'abc', { fin: false }), frame(continuation, Buffer.from([0xc3]))], codes)
  },
  'broken frames behind a closed connection do no harm': async (bench) => {
    const raw = await bench.rawClient()
    raw.write(Buffer.concat([bench.frameOf(['drop-me', { reason: 'x' }, null]), frame(kind, 'y', { rsv: 7 })]))
    await raw.end()
    raw.write(Buffer.concat([frame(3, 'z'), frame(kind, 'y', { masked: false })]))
    await bench.served()
  },
  'garbage right behind the upgrade': async (bench) => {
    const raw = await bench.raw()
    raw.write(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))
    assertEnd(await raw.end(), 1002)
    await bench.served()
  },
})

/** A `record` message of exactly this many bytes. */
function sized(codec, size) {
  const pack = (length) => Buffer.from(codec.pack(['record', 'x'.repeat(length), null]))
  const overhead = pack(1000).length - 1000
  let length = size - overhead
  while (pack(length).length > size) length -= 1
  while (pack(length).length < size) length += 1
  const packed = pack(length)
  assert.equal(packed.length, size)
  return packed
}

const limits = (codec, kind) => ({
  'a message of the largest size is taken': async (bench) => {
    const raw = await bench.rawClient()
    raw.write(frame(kind, sized(codec, MAX)))
    const { payload } = await bench.event({ event: 'message', cid: raw.cid })
    assert.ok(payload.length > MAX - 100)
  },
  'one byte more closes 1009': (bench) =>
    broken(bench, [frame(kind, sized(codec, MAX + 1))], [1009], 'wse.server.connection-error'),
  'in fragments just the same': async (bench) => {
    const pieces = (packed) => [
      frame(kind, packed.subarray(0, 20_000), { fin: false }),
      frame(continuation, packed.subarray(20_000, 30_000), { fin: false }),
      frame(continuation, packed.subarray(30_000)),
    ]
    const raw = await bench.rawClient()
    raw.write(Buffer.concat(pieces(sized(codec, MAX))))
    await bench.event({ event: 'message', cid: raw.cid })
    await broken(bench, pieces(sized(codec, MAX + 1)), [1009], 'wse.server.connection-error')
  },
})

export const groups = (codec) => {
  const kind = codec.binary ? binary : text
  return [
    { title: 'frames', checks: good(kind) },
    { title: 'broken frames', checks: bad(kind) },
    { title: 'sizes', flags: ['--max-message', String(MAX)], checks: limits(codec, kind) },
  ]
}
