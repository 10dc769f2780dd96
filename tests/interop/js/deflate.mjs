// Compression with npm `ws`, in both directions, with whatever it can be told to negotiate.
//
//     node deflate.mjs --server PATH_TO_ECHO_SERVER
//     node deflate.mjs --client PATH_TO_ECHO_CLIENT

import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import WebSocket, { WebSocketServer } from 'ws'
import { within } from './wait.mjs'

const settings = {
  'as it comes': {},
  'no takeover': { serverNoContextTakeover: true, clientNoContextTakeover: true },
  'server without takeover': { serverNoContextTakeover: true },
  'client without takeover': { clientNoContextTakeover: true },
  'small windows': { serverMaxWindowBits: 9, clientMaxWindowBits: 10 },
  'a window for the client': { clientMaxWindowBits: 12 },
  'everything, from the first byte': { threshold: 0, zlibDeflateOptions: { level: 9, memLevel: 9 } },
}
const sentence = 'what repeats itself repeats itself, and repeats itself again. '
const messages = [
  'short',
  '',
  sentence.repeat(40),
  sentence.repeat(40), // with takeover nearly nothing
  sentence.repeat(4000),
  'Ünïcödé – 漢字 🎉 '.repeat(500),
  Buffer.alloc(0),
  Buffer.alloc(500_000, 7),
  randomBytes(100_000), // cannot be compressed
]

let passed = 0
let failed = 0
function check(what, right) {
  if (right) passed += 1
  else failed += 1
  console.log(`${right ? 'ok' : 'NOT OK'} - ${what}`)
}

/** Sends each message, and checks that it comes back. */
async function echoes(title, socket) {
  const back = []
  let heard = () => {}
  socket.on('message', (data, binary) => {
    back.push([data, binary])
    heard()
  })
  for (const message of messages) socket.send(message)
  await within(20_000, `${title}: all echoes`, new Promise((resolve) => {
    heard = () => back.length === messages.length && resolve()
    heard()
  }))
  messages.forEach((message, index) => {
    const [data, binary] = back[index]
    const same = binary === Buffer.isBuffer(message) && Buffer.from(message).equals(data)
    check(`${title}: message ${index} comes back`, same)
  })
  const total = messages.reduce((sum, message) => sum + Buffer.byteLength(message), 0)
  const { bytesRead, bytesWritten } = socket._socket
  check(`${title}: ${total} bytes came as ${bytesRead}`, bytesRead < total / 3)
  check(`${title}: ${total} bytes went as ${bytesWritten}`, bytesWritten < total / 3)
  check(`${title}: compression was agreed upon`, socket.extensions.includes('permessage-deflate'))
  socket.close(1000)
  const [code] = await within(5000, `${title}: the end`, once(socket, 'close'))
  check(`${title}: it is closed with 1000`, code === 1000)
}

async function judgeServer(program) {
  const child = spawn(program, ['--deflate', '--max-message', '4000000'], { stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const [line] = await within(10_000, 'its address', once(createInterface({ input: child.stdout }), 'line'))
    const url = line.replace('listening on ', '')
    for (const [title, perMessageDeflate] of Object.entries(settings)) {
      const socket = new WebSocket(url, { perMessageDeflate })
      await within(5000, `${title}: open`, once(socket, 'open'))
      await echoes(title, socket)
    }
    const plain = new WebSocket(url, { perMessageDeflate: false })
    await within(5000, 'without: open', once(plain, 'open'))
    check('a client without compression is served as well', plain.extensions === '')
    plain.send('plain')
    const [data] = await within(5000, 'without: an echo', once(plain, 'message'))
    check('and gets its echo', data.toString() === 'plain')
    plain.terminate()
  } finally {
    child.kill()
  }
}

// The client runs the loop of the conformance suite: a count, each case, and a last call.
async function judgeClient(program) {
  const titles = Object.keys(settings)
  const server = new WebSocketServer({ noServer: true })
  const http = (await import('node:http')).createServer()
  const cases = []
  http.on('upgrade', (request, io, head) => {
    const url = new URL(request.url, 'ws://x')
    if (url.pathname !== '/runCase') {
      server.handleUpgrade(request, io, head, (socket) => {
        if (url.pathname === '/getCaseCount') socket.send(String(titles.length))
        socket.close(1000)
      })
      return
    }
    const title = titles[Number(url.searchParams.get('case')) - 1]
    const one = new WebSocketServer({ noServer: true, perMessageDeflate: settings[title] })
    one.handleUpgrade(request, io, head, (socket) => cases.push(echoes(title, socket)))
  })
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const url = `ws://127.0.0.1:${http.address().port}`
  const child = spawn(program, [url, '--deflate', '--max-message', '4000000'], { stdio: 'inherit' })
  const [status] = await within(60_000, 'the client', once(child, 'exit'))
  await Promise.all(cases)
  check(`the client went through ${cases.length} of ${titles.length} cases`, cases.length === titles.length)
  check('and left without an error', status === 0)
  http.close()
}

const [flag, program] = process.argv.slice(2)
const judge = { '--server': judgeServer, '--client': judgeClient }[flag]
if (!judge || !program) {
  console.error('usage: deflate.mjs --server|--client PROGRAM')
  process.exit(2)
}
try {
  await judge(program)
} catch (error) {
  check(error.message, false)
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
