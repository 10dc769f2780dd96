// A small wse client over npm `ws`: greeting, challenge, calls both ways, channel messages, close reasons.

import { randomInt } from 'node:crypto'
import { WebSocket } from 'ws'
import { NOTE, RECEIPT, TYPES, isCounted } from './codecs.mjs'
import { within } from './wait.mjs'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
export const newStamp = () => Array.from({ length: 10 }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')

/** The connection ended before what was asked for happened. */
export class Closed extends Error {
  constructor({ code, reason }) {
    super(`closed ${code} ${JSON.stringify(reason)}`)
    Object.assign(this, { code, reason })
  }
}

/** A call that failed: the other side's fault, or `wse.client.rp.timeout` / `wse.client.rp.disconnect`. */
export class CallFailed extends Error {
  constructor(fault, rpc) {
    super(`${rpc} failed: ${JSON.stringify(fault)}`)
    Object.assign(this, { fault, code: fault?.code, details: fault?.details ?? {} })
  }
}

export class Client {
  /** Every message that came, in order: `[type, payload, stamp]`, or `null` for one that does not decode. */
  received = []
  /** The bytes of each of them. */
  lengths = []
  /** Resolves to `{code, reason}`. */
  closed
  ready = false
  /** What the server has said of the session, if the greeting had `resume`. */
  session
  /** How many counted messages of the session have come. */
  seen = 0

  #calls = new Map()
  #procedures = new Map()
  #inbox = []
  #waiting = []

  /** With `receipts` it says that it gives receipts, and gives them. `resume` goes into the greeting, if it is there. */
  constructor(url, codec, { offer = [codec.name], patience = 4000, receipts = false, resume, ...options } = {}) {
    this.codec = codec
    this.receipts = receipts
    this.resume = resume
    this.seen = resume?.seen ?? 0
    this.patience = patience
    this.ws = new WebSocket(url, offer, options)
    this.opened = new Promise((resolve, reject) => {
      this.ws.once('open', resolve)
      this.ws.once('error', reject)
    })
    this.closed = new Promise((resolve) => {
      this.ws.once('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    })
    this.ws.on('error', () => {}) // a failure is followed by `close`, which tells everybody
    this.ws.on('message', (data) => this.#receive(data))
    this.closed.then((end) => this.#finish(end))
    this.opened.catch(() => {}) // reported to the caller that waits for it
  }

  /** Opens and greets; the welcome payload, or `Closed`. `solve(quest)` answers a challenge. */
  static async connect(url, codec, { identity = 'valid-secret', meta = {}, solve, ...options } = {}) {
    const client = new Client(url, codec, options)
    await client.open()
    client.welcome = await client.greet(identity, meta, solve)
    return client
  }

  open() {
    return within(this.patience, 'WebSocket handshake', this.opened)
  }

  async greet(identity, meta, solve) {
    const { resume } = this
    const hi = { identity, meta, ...(resume !== undefined && { resume }) }
    this.raw(this.codec.pack([TYPES.hi, hi], this.receipts ? RECEIPT : 0))
    if (solve) this.send(TYPES.challenge, await solve(await this.take(TYPES.challenge)))
    return this.take(TYPES.welcome)
  }

  send(type, payload = null) {
    this.raw(this.codec.pack([type, payload, null]))
  }

  /** Sends bytes or text as they are. */
  raw(data, binary = typeof data !== 'string') {
    this.ws.send(data, { binary })
  }

  call(rpc, payload = null, { timeout = this.patience, stamp = newStamp() } = {}) {
    const outcome = new Promise((resolve, reject) => {
      const fail = (fault) => reject(new CallFailed(fault, rpc))
      const timer = setTimeout(() => this.#settle(stamp)?.fail({ code: 'wse.client.rp.timeout' }), timeout)
      this.#calls.set(stamp, { resolve, fail, timer })
    })
    this.raw(this.codec.pack([rpc, payload, stamp]))
    return outcome
  }

  /** `handler(payload, stamp)` serves calls of the other side; what it throws goes back as a fault. */
  register(rpc, handler) {
    this.#procedures.set(rpc, handler)
  }

  answer(stamp, result = null) {
    this.raw(this.codec.pack([TYPES.response, result, stamp]))
  }

  refuse(stamp, fault) {
    this.raw(this.codec.pack([TYPES.fault, fault, stamp]))
  }

  /** The payload of the next message of this type that was not taken yet; `Closed` when the end comes first. */
  take(type, patience = this.patience) {
    const at = this.#inbox.findIndex((message) => message.type === type)
    if (at >= 0) return Promise.resolve(this.#inbox.splice(at, 1)[0].payload)
    const outcome = new Promise((resolve, reject) => {
      this.#waiting.push({ type, resolve })
      this.closed.then((end) => reject(new Closed(end)))
    })
    return within(patience, `message ${type}`, outcome).catch((error) => {
      this.#waiting = this.#waiting.filter((waiting) => waiting.type !== type)
      throw error
    })
  }

  /** How many messages of this type have come. */
  count(type) {
    return this.received.filter((message) => message?.[0] === type).length
  }

  /** `{code, reason}` of the end, which must come soon. */
  end(patience = this.patience) {
    return within(patience, 'close', this.closed)
  }

  /** Closes and waits for the other side's close frame. Without a code the close frame is empty. */
  close(code, reason) {
    this.ws.close(code, reason)
    return this.end()
  }

  /** Ends TCP without a close frame. */
  vanish() {
    this.ws.terminate()
  }

  #receive(data) {
    let message
    this.lengths.push(data.length)
    try {
      message = this.codec.unpack(data)
    } catch {
      this.received.push(null)
      return
    }
    this.received.push(message)
    const [type, payload, stamp] = message
    if (type === TYPES.session) this.#said(payload)
    if (isCounted(type)) this.seen += 1
    if (type === TYPES.welcome) this.ready = true
    if (type === TYPES.response) this.#settle(stamp)?.resolve(payload)
    else if (type === TYPES.fault) this.#settle(stamp)?.fail(payload)
    else if (this.codec.flags(data) & NOTE) {
      if (this.receipts) this.raw(this.codec.pack([TYPES.receipt, null, stamp], NOTE))
      this.#deliver(type, payload)
    } else if (stamp) this.#serve(type, payload, stamp)
    else this.#deliver(type, payload)
  }

  // What comes next has the number behind `seen`.
  #said(session) {
    this.session = session
    if (session.outcome === 'partial') this.seen = session.lost[1]
    else if (session.outcome !== 'full') this.seen = 0
  }

  // A reply that belongs to no running call finds nothing here, and is not answered.
  #settle(stamp) {
    const call = this.#calls.get(stamp)
    this.#calls.delete(stamp)
    clearTimeout(call?.timer)
    return call
  }

  async #serve(rpc, payload, stamp) {
    const handler = this.#procedures.get(rpc)
    if (!handler) return this.refuse(stamp, { code: 'wse.server.rp.not-registered' })
    try {
      const result = await handler(payload, stamp)
      if (result !== Client.SILENT && this.ws.readyState === WebSocket.OPEN) this.answer(stamp, result)
    } catch (fault) {
      const { code = 'wse.server.rp.failed', message, details } = fault
      this.refuse(stamp, { code, ...(message && { message }), ...(details !== undefined && { details }) })
    }
  }

  #deliver(type, payload) {
    const at = this.#waiting.findIndex((waiting) => waiting.type === type)
    if (at >= 0) this.#waiting.splice(at, 1)[0].resolve(payload)
    else this.#inbox.push({ type, payload })
  }

  #finish({ code, reason }) {
    for (const stamp of [...this.#calls.keys()]) {
      this.#settle(stamp).fail({ code: 'wse.client.rp.disconnect', details: { disconnected: [code, reason] } })
    }
  }

  /** What a procedure returns to leave its call unanswered. */
  static SILENT = Symbol('silent')
}
