// WebSockets on streams of Node's own HTTP/2 (RFC 8441), framed by the library `ws`.

import http2 from 'node:http2'
import { once } from 'node:events'
import { Receiver, Sender } from 'ws'
import { within } from './wait.mjs'

/** A connection whose server says that it takes extended CONNECT. */
export async function connect(url) {
  const session = http2.connect(url.replace(/^ws/, 'http'))
  session.on('error', () => {}) // requests tell
  const [settings] = await within(4000, 'settings', once(session, 'remoteSettings'))
  if (!settings.enableConnectProtocol) throw new Error('the server takes no extended CONNECT')
  return session
}

/** One stream: `status` and `headers` of the answer, and messages if it is 200. */
export class StreamSocket {
  static async open(session, path, headers = {}) {
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': path,
      'sec-websocket-version': '13',
      ...headers,
    })
    stream.on('error', () => {})
    const socket = new StreamSocket()
    socket.stream = stream
    const [answer] = await within(4000, 'answer to CONNECT', once(stream, 'response'))
    Object.assign(socket, { status: answer[':status'], headers: answer, messages: [], close: undefined })
    if (socket.status !== 200) return socket
    const receiver = new Receiver({ binaryType: 'nodebuffer' })
    receiver.on('message', (data) => {
      socket.messages.push(data)
      stream.emit('told')
    })
    receiver.on('conclude', (code, reason) => (socket.close = { code, reason: reason.toString() }))
    socket.ended = once(stream, 'end')
    socket.sender = new Sender(stream)
    stream.pipe(receiver)
    return socket
  }

  send(data) {
    this.sender.send(data, { binary: typeof data !== 'string', mask: true, fin: true, compress: false })
  }

  async next() {
    if (this.messages.length === 0) await within(4000, 'message', once(this.stream, 'told'))
    return this.messages.shift()
  }

  /** Closes, and waits for the other's close frame and the end of the stream. */
  async end(code, reason) {
    this.sender.close(code, reason, true)
    await within(4000, 'end of the stream', this.ended)
    return this.close
  }
}
