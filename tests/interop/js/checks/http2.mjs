// WebSocket over HTTP/2 (RFC 8441), on paths inside an HTTP server.

import assert from 'node:assert/strict'
import { TYPES } from '../codecs.mjs'
import { StreamSocket, connect } from '../http2.mjs'

const subprotocol = 'sec-websocket-protocol'

const http2 = (codec) => {
  const offer = { [subprotocol]: `chat, ${codec.name}` }

  async function user(session, path, cid) {
    const socket = await StreamSocket.open(session, path, offer)
    assert.equal(socket.status, 200)
    assert.equal(socket.headers[subprotocol], codec.name)
    assert.equal(socket.headers['sec-websocket-accept'], undefined)
    socket.send(codec.pack([TYPES.hi, { identity: 'valid-secret', meta: { user_id: cid } }]))
    assert.equal(codec.unpack(await socket.next())[0], TYPES.welcome)
    return socket
  }

  async function adds(socket, a, b) {
    socket.send(codec.pack(['add', { a, b }, 'stamp']))
    assert.deepEqual(codec.unpack(await socket.next()), [TYPES.response, a + b, 'stamp'])
  }

  const over = (check) => async (bench) => {
    const session = await connect(bench.url)
    try {
      await check(session, bench)
    } finally {
      session.destroy()
    }
  }

  return {
    'sockets share a connection': over(async (session, bench) => {
      const one = await user(session, '/a', bench.user())
      const two = await user(session, '/b?x=1', bench.user())
      for (const [a, b] of [[1, 2], [3, 4]]) {
        await adds(one, a, b)
        await adds(two, a, b)
      }
    }),
    'the closing handshake ends one stream': over(async (session, bench) => {
      const one = await user(session, '/a', bench.user())
      const two = await user(session, '/a', bench.user())
      assert.deepEqual(await one.end(4001, 'enough'), { code: 4001, reason: 'enough' })
      await adds(two, 1, 2)
    }),
    'what is no request for a socket is refused on its stream': over(async (session, bench) => {
      const alive = await user(session, '/a', bench.user())
      for (const [headers, status] of [
        [{ ...offer, 'sec-websocket-version': '12' }, 400],
        [{ [subprotocol]: 'something-else' }, 400],
        [{ ...offer, ':protocol': 'connect-udp' }, 501],
        [{ ...offer, origin: 'https://evil.example' }, 403],
      ]) {
        assert.equal((await StreamSocket.open(session, '/a', headers)).status, status)
        await adds(alive, 1, 2)
      }
      assert.equal((await StreamSocket.open(session, '/nowhere', offer)).status, 404)
    }),
  }
}

export const groups = (codec) => [
  { title: 'http2', flags: ['--path', '/a', '--path', '/b'], checks: http2(codec) },
]
