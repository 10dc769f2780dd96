// A wse server on npm `ws`, for clients under test. It answers as the npm package wse 4.12 does: three
// elements always, null for what is absent, and its bugs as well, where a client must survive them.
//
//     node server.mjs --protocol json|cbor|protobuf|custom [--challenge] [--port N] [--tls DIRECTORY]
//
// Prints `listening on ws://127.0.0.1:PORT`, or wss:// with a certificate from that directory, and runs until it is killed. The identity is "valid-secret", the
// quest {"a":1,"b":2}, its answer 3. A user has one connection; cid is meta.user_id, else user-N.
//
// channel    count {count:n} -> count {count:n+1}     announce x -> announce x to every connection
// procedure  add {a,b}   echo x   nothing    slow {ms} -> 1 after that time
//            throw x     fails: code wse.server.rp.failed, message "Vanilla error", details {origin,rpc,payload}
//            throw-wse   fails: code test-err-code, details {fun:1,rpc,payload}
//            call-me {rp,payload,timeout?} -> {ok} or {err}: calls the client, waits `timeout` ms (default 5000)
//            kick {code,reason}   closes this connection before it answers
//            vanish      ends TCP without a close frame
//            late {ms}   answers "late" after that time
//            stray x     sends replies that belong to no call, then answers x
//            announce x  -> the number of users, after the broadcast
//            received    -> how many messages came on this connection, this one included
//            whoami      -> {cid, meta}

import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { parseArgs } from 'node:util'
import { WebSocketServer } from 'ws'
import { newStamp } from './client.mjs'
import { codecNamed, TYPES } from './codecs.mjs'
import { sleep } from './wait.mjs'

const { values } = parseArgs({
  options: {
    protocol: { type: 'string', default: 'json' },
    challenge: { type: 'boolean', default: false },
    port: { type: 'string', default: '0' },
    tls: { type: 'string' },
  },
})
const codec = codecNamed(values.protocol)
const users = new Map()
let counted = 0

const broadcast = (type, payload) => {
  for (const connection of users.values()) connection.send(type, payload)
}

const channel = {
  count: (connection, payload) => connection.send('count', { count: (Number(payload?.count) || 0) + 1 }),
  announce: (_, payload) => broadcast('announce', payload),
}

const procedures = {
  add: (_, { a, b }) => a + b,
  echo: (_, payload) => payload,
  nothing: () => undefined,
  slow: (_, { ms }) => sleep(ms).then(() => 1),
  late: (_, { ms }) => sleep(ms).then(() => 'late'),
  throw: () => Promise.reject(new Error('Vanilla error')),
  'throw-wse': () => Promise.reject({ code: 'test-err-code', details: { fun: 1 } }),
  'call-me': (connection, { rp, payload, timeout }) =>
    connection.call(rp, payload, timeout).then(
      (ok) => ({ ok: ok ?? null }),
      (err) => ({ err }),
    ),
  kick: (connection, { code, reason }) => connection.end(code, reason),
  vanish: (connection) => connection.ws.terminate(),
  stray(connection, payload) {
    connection.pack(TYPES.response, 'stray', 'unknown-stamp')
    connection.pack(TYPES.fault, { code: 'stray' }, 'unknown-stamp')
    return payload
  },
  announce(_, payload) {
    broadcast('announce', payload)
    return users.size
  },
  received: (connection) => connection.messages,
  whoami: ({ cid, meta }) => ({ cid, meta }),
}

/** The fault of wse 4.12 for what a procedure threw, the stack of an Error included. */
function faultOf(error, rpc, payload) {
  if (error instanceof Error) {
    const { name, message, stack } = error
    return { code: 'wse.server.rp.failed', message, details: { origin: { name, message, stack }, rpc, payload } }
  }
  return { code: error.code, details: { ...error.details, rpc, payload } }
}

class Connection {
  messages = 0
  #state = 'stranger'
  #hi
  #calls = new Map()

  constructor(ws) {
    this.ws = ws
    ws.on('message', (data) => this.#receive(data))
    ws.on('error', () => {}) // followed by `close`
    ws.on('close', (code, reason) => this.#gone(code, reason.toString()))
  }

  pack(type, payload = null, stamp = null) {
    if (this.ws.readyState === this.ws.OPEN) this.ws.send(codec.pack([type, payload, stamp]), { binary: codec.binary })
  }

  send(type, payload) {
    this.pack(type, payload)
  }

  call(rp, payload, timeout = 5000) {
    const stamp = newStamp()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => this.#settle(stamp)?.reject({ code: 'wse.client.rp.timeout', details: {} }),
        timeout,
      )
      this.#calls.set(stamp, { resolve, reject, timer })
      this.pack(rp, payload, stamp)
    })
  }

  end(code, reason) {
    this.#state = 'closed'
    this.ws.close(code, reason)
  }

  #receive(data) {
    if (this.#state === 'closed') return
    this.messages += 1
    let message
    try {
      message = codec.unpack(data)
    } catch {
      return this.end(1000, 'wse.protocol-error')
    }
    const [type, payload, stamp] = message
    if (this.#state === 'stranger') this.#greeted(type, payload)
    else if (this.#state === 'challenged') this.#answered(type, payload)
    else if (!type && !stamp) this.end(1000, 'wse.protocol-error')
    else if (!stamp) channel[type]?.(this, payload)
    else this.#stamped(type, payload, stamp)
  }

  #greeted(type, payload) {
    if (type !== TYPES.hi || !payload) return this.end(1000, 'wse.protocol-error')
    this.#hi = payload
    if (!values.challenge) return this.#decide(true)
    this.#state = 'challenged'
    this.send(TYPES.challenge, { a: 1, b: 2 })
  }

  #answered(type, payload) {
    if (type !== TYPES.challenge) return this.end(1000, 'wse.protocol-error')
    this.#decide(payload === 3)
  }

  #decide(solved) {
    const { identity, meta } = this.#hi
    if (identity !== 'valid-secret' || !solved) return this.end(1000, 'wse.not-authorized')
    this.meta = meta ?? {}
    this.cid = String(this.meta.user_id ?? `user-${(counted += 1)}`)
    users.get(this.cid)?.end(1000, 'wse.clients-concurrency')
    users.set(this.cid, this)
    this.#state = 'valid'
    this.send(TYPES.welcome, { hey: 'some additional data for the client' })
  }

  // As in wse 4.12, a reply to no running call is taken for a call of an unknown procedure and answered.
  #stamped(type, payload, stamp) {
    if (type === TYPES.response && this.#calls.has(stamp)) this.#settle(stamp).resolve(payload)
    else if (type === TYPES.fault && this.#calls.has(stamp)) this.#settle(stamp).reject(payload)
    else if (!Object.hasOwn(procedures, type)) this.pack(TYPES.fault, { code: 'wse.server.rp.not-registered' }, stamp)
    else this.#perform(type, payload, stamp)
  }

  async #perform(rpc, payload, stamp) {
    try {
      this.pack(TYPES.response, await procedures[rpc](this, payload), stamp)
    } catch (error) {
      this.pack(TYPES.fault, faultOf(error, rpc, payload), stamp)
    }
  }

  #settle(stamp) {
    const call = this.#calls.get(stamp)
    this.#calls.delete(stamp)
    clearTimeout(call?.timer)
    return call
  }

  #gone(code, reason) {
    this.#state = 'closed'
    if (users.get(this.cid) === this) users.delete(this.cid)
    const fault = { code: 'wse.client.rp.disconnect', details: { disconnected: [code, reason] } }
    for (const stamp of [...this.#calls.keys()]) this.#settle(stamp).reject(fault)
  }
}

const address = { host: '127.0.0.1', port: Number(values.port) }
const https =
  values.tls &&
  createServer({ cert: readFileSync(`${values.tls}/server.pem`), key: readFileSync(`${values.tls}/server.key`) })
const server = new WebSocketServer({
  ...(https ? { server: https } : address),
  handleProtocols: (offered) => (offered.has(codec.name) ? codec.name : false),
})
server.on('connection', (ws) => {
  if (ws.protocol === codec.name) new Connection(ws)
  else ws.close(1000, 'wse.protocol-error')
})
const scheme = https ? 'wss' : 'ws'
server.on('listening', () => console.log(`listening on ${scheme}://127.0.0.1:${server.address().port}`))
https?.listen(address)
