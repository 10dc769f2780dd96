// An endpoint for `wsprocessor.mjs` upon the real npm package: what the checks are proven against.
//
//     node wsprocessor_reference.mjs [--addr HOST:PORT] [--heartbeat-interval SECONDS] [--heartbeat-timeout SECONDS]
//
// The package throws at messages it should refuse. Here that is caught; what it does wrong beyond is not mended.

import { parseArgs } from 'node:util'
import { WebSocketServer } from 'ws'
import WsProcessor from 'wsprocessor'

const { values } = parseArgs({
  options: {
    addr: { type: 'string', default: '127.0.0.1:0' },
    'heartbeat-interval': { type: 'string' },
    'heartbeat-timeout': { type: 'string' },
  },
})

const options = {}
// The package takes 0 for the default.
const NO_ROUND_TRIPS = 1e-9
if (values['heartbeat-interval']) {
  options.heartbeatMinInterval = Number(values['heartbeat-interval'])
  options.heartbeatRttIntervalMultiplicator = NO_ROUND_TRIPS
}
if (values['heartbeat-timeout']) {
  options.heartbeatMinTimeout = Number(values['heartbeat-timeout'])
  options.heartbeatRttTimeoutMutiplicator = NO_ROUND_TRIPS
}

const notes = []
const errors = []
const outcomes = new Map()
const connections = new Set()

function happened(tag, outcome) {
  if (!outcomes.has(tag)) outcomes.set(tag, [])
  outcomes.get(tag).push(outcome)
}

const acknowledged = (tag) => (status) => happened(tag, { kind: 'ack', status })

/** The package writes into the options it is given, and minds members that are undefined. */
function limits(sendAck, name, timeout) {
  return { sendAck: Boolean(sendAck), ...(timeout === undefined ? {} : { [name]: timeout }) }
}

/** What can be done: `(request, respond, connection) => …`. */
const DEEDS = new Map(
  Object.entries({
    echo: ({ value }, respond) => respond(value),
    slow: ({ ms, value }, respond) => setTimeout(() => respond(value), ms),
    fail: ({ code, message }, respond) => respond(message, code),
    never: () => {},
    'with-ack': ({ value, tag, timeout }, respond) => {
      respond(value, 0, limits(true, 'ackTimeout', timeout), acknowledged(tag))
    },
    'send-note': ({ note, ack, timeout, tag }, respond, { processor }) => {
      respond(true)
      processor.sendNote(note, limits(ack, 'ackTimeout', timeout), acknowledged(tag))
    },
    ask: ({ request, ack, timeout, tag }, respond, { processor }) => {
      respond(true)
      processor.sendRequest(
        request,
        (value) => happened(tag, { kind: 'success', value }),
        (code, message) => happened(tag, { kind: 'failure', code, message }),
        limits(ack, 'requestTimeout', timeout),
        acknowledged(tag),
      )
    },
    outcomes: ({ tag }, respond) => respond(outcomes.get(tag) ?? []),
    notes: (_, respond) => respond(notes),
    errors: (_, respond) => respond(errors),
    heartbeats: (_, respond, { sent, answered }) => respond({ sent: sent.size, answered: answered.size }),
    connections: (_, respond) => respond(connections.size),
    close: ({ reason }, _, { socket }) => socket.close(1000, reason),
  }),
)

class Connection {
  sent = new Set()
  answered = new Set()

  constructor(socket) {
    this.socket = socket
    connections.add(this)
    socket.on('error', () => {}) // followed by `close`
    this.processor = new WsProcessor(
      (text) => {
        const { type, data } = JSON.parse(text)
        if (type === 'ping') this.sent.add(data)
        if (socket.readyState === socket.OPEN) socket.send(text)
      },
      () => socket.close(),
      (note) => {
        notes.push(note ?? null)
        if (note?.do === 'reply') this.processor.sendNote(note.value)
      },
      (request, respond) => {
        const deed = DEEDS.get(request?.do)
        if (deed) deed(request, respond, this)
        else respond('this cannot be done', 400)
      },
      undefined,
      { ...options },
    )
    socket.on('message', (data) => this.receive(data.toString()))
    socket.on('close', () => {
      connections.delete(this)
      this.processor.close()
    })
  }

  receive(text) {
    let message
    try {
      message = JSON.parse(text)
    } catch {
      // Left to the package.
    }
    // The package only logs these.
    if (message?.type === 'error' && typeof message.data === 'string') errors.push(message.data)
    if (message?.type === 'pong' && this.sent.has(message.data)) this.answered.add(message.data)
    try {
      this.processor.onMessage(text)
    } catch {
      if (typeof message !== 'object' || message === null) this.socket.close(1003)
    }
  }
}

const [, host, port] = /^(.*):(\d+)$/.exec(values.addr) ?? []
if (!host) throw new Error(`--addr ${values.addr} is not HOST:PORT`)
const server = new WebSocketServer({ host, port: Number(port), handleProtocols: () => false })
server.on('connection', (socket) => new Connection(socket))
server.on('listening', () => console.log(`listening on ws://${host}:${server.address().port}`))
