// A WebSocket written by hand over TCP or TLS, for bytes that a well-behaved library refuses to send.
//
//      0 1 2 3 4 5 6 7   8  9 ........ 15   16 ...
//     +-+-+-+-+-------+ +-+-------------+ +----------------------+---------------+---------
//     |F|R|R|R| opcode| |M| length, 126 | | length, 16 or 64 bit | mask, 4 bytes | payload
//     +-+-+-+-+-------+ +-+-------------+ +----------------------+---------------+---------

import { randomBytes } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import { within } from './wait.mjs'

export const OPCODE = Object.freeze({ continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 })

/** One client frame. `announced` is the length the header claims, when it shall not be the true one. */
export function frame(opcode, payload = '', { fin = true, rsv = 0, masked = true, announced } = {}) {
  const body = Buffer.from(payload)
  const length = BigInt(announced ?? body.length)
  const size = length < 126n ? 0 : length < 65536n ? 2 : 8
  const head = Buffer.alloc(2 + size)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (masked ? 0x80 : 0) | (size === 0 ? Number(length) : size === 2 ? 126 : 127)
  if (size === 2) head.writeUInt16BE(Number(length), 2)
  if (size === 8) head.writeBigUInt64BE(length, 2)
  if (!masked) return Buffer.concat([head, body])
  const mask = randomBytes(4)
  return Buffer.concat([head, mask, body.map((byte, at) => byte ^ mask[at % 4])])
}

/** The payload of a close frame. */
export function closing(code, reason = '') {
  const head = Buffer.alloc(2)
  head.writeUInt16BE(code)
  return Buffer.concat([head, Buffer.from(reason)])
}

export class RawSocket {
  /** After the upgrade: `{opcode, payload}` of every frame that came. */
  frames = []
  status = 0
  headers = {}

  #bytes = Buffer.alloc(0)
  #woken = () => {}

  constructor(url) {
    this.url = new URL(url)
    const { connect } = this.url.protocol === 'wss:' ? tls : net
    this.socket = connect(Number(this.url.port), this.url.hostname)
    this.socket.on('error', () => {}) // followed by `close`
    this.socket.on('data', (data) => this.#receive(data))
    this.ended = new Promise((resolve) => this.socket.once('close', resolve))
    this.ended.then(() => this.#woken())
  }

  /** Sends an upgrade request and waits for the head of the answer; `status` stays 0 when none comes. */
  static async upgrade(url, { offer = [], path = '/', extra = [] } = {}) {
    const raw = new RawSocket(url)
    const offers = offer.length > 0 ? [`Sec-WebSocket-Protocol: ${offer.join(', ')}`] : []
    const key = randomBytes(16).toString('base64')
    raw.write(
      [
        `GET ${path} HTTP/1.1`,
        `Host: ${raw.url.host}`,
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        `Sec-WebSocket-Key: ${key}`,
        ...offers,
        ...extra,
        '\r\n',
      ].join('\r\n'),
    )
    await raw.#wait(4000, 'answer to the upgrade', () => raw.status !== 0)
    return raw
  }

  write(bytes) {
    this.socket.write(bytes)
  }

  /** The next frame of this kind that satisfies `wanted`; null when the connection ends without. */
  async next(opcode, wanted = () => true, patience = 4000) {
    const find = () => this.frames.find((each) => each.opcode === opcode && wanted(each.payload))
    await this.#wait(patience, 'frame', find)
    return find() ?? null
  }

  /** `{code, reason}` of the close frame; 1006 when TCP ends without, 1005 when the frame is empty. */
  async end() {
    const close = await this.next(OPCODE.close)
    if (!close) return { code: 1006, reason: '' }
    if (close.payload.length < 2) return { code: 1005, reason: '' }
    return { code: close.payload.readUInt16BE(0), reason: close.payload.subarray(2).toString() }
  }

  destroy() {
    this.socket.destroy()
  }

  #wait(patience, what, happened) {
    if (happened() || this.socket.destroyed) return Promise.resolve()
    const event = new Promise((resolve) => {
      this.#woken = () => {
        if (happened() || this.socket.destroyed) resolve()
      }
    })
    return within(patience, what, event)
  }

  #receive(data) {
    this.#bytes = Buffer.concat([this.#bytes, data])
    if (this.status === 0) this.#readHead()
    if (this.status === 101) while (this.#readFrame());
    this.#woken()
  }

  #readHead() {
    const end = this.#bytes.indexOf('\r\n\r\n')
    if (end < 0) return
    const [first, ...lines] = this.#bytes.subarray(0, end).toString().split('\r\n')
    for (const line of lines) {
      const colon = line.indexOf(':')
      this.headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
    }
    this.#bytes = this.#bytes.subarray(end + 4)
    this.status = Number(first.split(' ')[1])
  }

  #readFrame() {
    const bytes = this.#bytes
    if (bytes.length < 2) return false
    const short = bytes[1] & 0x7f
    const start = short < 126 ? 2 : short === 126 ? 4 : 10
    if (bytes.length < start) return false
    const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
    if (bytes.length < start + length) return false
    this.frames.push({ opcode: bytes[0] & 0x0f, payload: bytes.subarray(start, start + length) })
    this.#bytes = bytes.subarray(start + length)
    return true
  }
}
