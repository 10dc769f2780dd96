// JavaScript echo servers: server.mjs ws|deno|bun. It prints where it listens.
//
// The text `close` closes with 4001 `bye`; `split` sends the text `é` in two frames, split inside the character, where the library can.

import process from 'node:process'
import { Buffer } from 'node:buffer'

const MAX = 6 << 20
const library = process.argv[2]
const listening = (port) => console.log(`listening on ws://127.0.0.1:${port}`)

if (library === 'ws') {
  const { WebSocketServer } = await import('ws')
  const perMessageDeflate = { threshold: 0 }
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, maxPayload: MAX, perMessageDeflate })
  server.on('listening', () => listening(server.address().port))
  server.on('connection', (ws) => {
    ws.on('error', () => {})
    ws.on('message', (data, binary) => {
      const command = binary ? '' : data.toString()
      if (command === 'close') ws.close(4001, 'bye')
      else if (command === 'split') {
        ws.send(Buffer.from([0xc3]), { binary: false, fin: false })
        ws.send(Buffer.from([0xa9]), { binary: false, fin: true })
      } else ws.send(data, { binary })
    })
  })
} else if (library === 'deno') {
  Deno.serve({ hostname: '127.0.0.1', port: 0, onListen: ({ port }) => listening(port) }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request)
    socket.binaryType = 'arraybuffer'
    socket.onerror = () => {}
    socket.onmessage = ({ data }) => (data === 'close' ? socket.close(4001, 'bye') : socket.send(data))
    return response
  })
} else if (library === 'bun') {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request, server) => (server.upgrade(request) ? undefined : new Response('no', { status: 400 })),
    websocket: {
      maxPayloadLength: MAX,
      perMessageDeflate: true,
      message: (ws, data) => (data === 'close' ? ws.close(4001, 'bye') : ws.send(data)),
    },
  })
  listening(server.port)
}
