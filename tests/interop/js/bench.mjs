// What the checks stand on: the server under test as a child process, and a bench that opens clients on it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { Client } from './client.mjs'
import { TYPES } from './codecs.mjs'
import { OPCODE, RawSocket, frame } from './raw.mjs'
import { until, within } from './wait.mjs'

/** The server under test. However the suite ends, its servers end too. */
export class Server {
  static #children = new Set()

  static {
    process.on('exit', () => this.#children.forEach((child) => child.kill('SIGKILL')))
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1))
  }

  static async start(path, flags) {
    const server = new Server()
    server.flags = flags
    server.child = spawn(path, flags, { stdio: ['ignore', 'pipe', 'pipe'] })
    Server.#children.add(server.child)
    server.child.once('exit', () => Server.#children.delete(server.child))
    server.stderr = ''
    server.child.stderr.on('data', (data) => (server.stderr = (server.stderr + data).slice(-4000)))
    server.exited = new Promise((resolve, reject) => {
      server.child.once('exit', (code, signal) => resolve(`exit ${code ?? signal}`))
      server.child.once('error', reject)
    })
    server.exited.catch(() => {})
    const announced = new Promise((resolve) => {
      createInterface({ input: server.child.stdout }).on('line', (line) => {
        const [, url] = /^listening on (wss?:\/\/\S+)$/.exec(line) ?? []
        if (url) resolve(url)
      })
    })
    const died = server.exited.then((how) => Promise.reject(new Error(`server ended: ${how}\n${server.stderr}`)))
    died.catch(() => {})
    try {
      server.url = await within(5000, 'listening line', Promise.race([announced, died]))
    } catch (error) {
      server.child.kill('SIGKILL')
      throw error
    }
    return server
  }

  get running() {
    return this.child.exitCode === null && this.child.signalCode === null
  }

  async stop() {
    this.child.kill('SIGKILL')
    await within(2000, 'end of the server', this.exited)
  }
}

// A stack trace, a source path, or a panic's text: nothing of the sort may reach a peer.
const LEAK = /\bstack\b|backtrace|panicked|\.rs\b|\.m?js:\d|\.py\b|\/src\/|\/home\/|\/root\/|\bat .+:\d+:\d+/i

/** One running server and the clients that one check opens on it. */
export class Bench {
  static #users = 0
  #opened = []

  constructor(server, protocol, codec, program) {
    Object.assign(this, { server, protocol, codec, program, url: server.url })
  }

  /** A user id no other check uses. */
  user(hint = 'user') {
    Bench.#users += 1
    return `${hint}-of-check-${Bench.#users}`
  }

  /** Opens without greeting. */
  async stranger({ url = this.url, ...options } = {}) {
    const client = new Client(url, this.codec, options)
    this.#opened.push(client)
    await client.open()
    return client
  }

  /** Opens and greets as `cid`; `meta` adds to the greeting's. */
  async client(cid = this.user(), { meta, identity = 'valid-secret', solve, ...options } = {}) {
    const client = await this.stranger(options)
    client.cid = cid
    client.welcome = await client.greet(identity, { user_id: cid, ...meta }, solve)
    return client
  }

  /** Upgrades by hand. */
  async raw(options = {}) {
    const raw = await RawSocket.upgrade(this.url, { offer: [this.codec.name], ...options })
    this.#opened.push(raw)
    return raw
  }

  /** A frame of the codec's kind around a message. */
  frameOf(message, options) {
    return frame(this.codec.binary ? OPCODE.binary : OPCODE.text, this.codec.pack(message), options)
  }

  /** The same with flags in the message. */
  frameWith(message, flags) {
    return frame(this.codec.binary ? OPCODE.binary : OPCODE.text, this.codec.pack(message, flags))
  }

  /** Upgrades and greets by hand. */
  async rawClient(cid = this.user()) {
    const raw = await this.raw()
    raw.cid = cid
    raw.write(this.frameOf([TYPES.hi, { identity: 'valid-secret', meta: { user_id: cid } }]))
    const welcome = await raw.next(this.codec.binary ? OPCODE.binary : OPCODE.text)
    assert.equal(this.codec.unpack(welcome.payload)[0], TYPES.welcome)
    return raw
  }

  /** Opens the connection that watches the others during the whole life of the server. */
  async watch(solve) {
    this.observer = await Client.connect(this.url, this.codec, { meta: { user_id: 'observer' }, solve })
  }

  /** The server's events, those of one user or all. */
  async events(cid) {
    const events = await this.observer.call('events', { since: 0 })
    return cid === undefined ? events : events.filter((event) => event.cid === cid)
  }

  /** Waits for an event with these members, and returns it. */
  event(members) {
    const fits = (event) => Object.entries(members).every(([key, value]) => event[key] === value)
    return until(3000, `event ${JSON.stringify(members)}`, async () => (await this.events()).find(fits))
  }

  /** Waits until the user is gone, and returns the names of all its events. */
  async story(cid) {
    await this.event({ event: 'left', cid })
    return (await this.events(cid)).map((event) => event.event)
  }

  /** Nobody joined under this name. */
  async nobody(cid) {
    assert.deepEqual(await this.events(cid), [], 'events of a user who must not have joined')
    assert.ok(!(await this.observer.call('clients')).some((user) => user.cid === cid), 'must not be in the list')
  }

  /** The server runs, and a connection that did nothing wrong is served. */
  async served() {
    assert.ok(this.server.running, 'the server has ended')
    assert.equal(await this.observer.call('add', { a: 2, b: 3 }), 5)
  }

  /** After each check: nothing said by the server may carry a trace; then everything is closed. */
  tidy() {
    const opened = this.#opened.splice(0)
    for (const each of opened) each instanceof Client ? each.vanish() : each.destroy()
    const said = opened.flatMap((each) => each.received ?? []).filter((message) => message?.[0] === TYPES.fault)
    for (const fault of said) assert.doesNotMatch(JSON.stringify(fault), LEAK, 'a trace or path went to the peer')
  }
}

/** The close `{code, reason}` must be one of `allowed`: `[code, reason]` or just a code. */
export function assertEnd(end, ...allowed) {
  const fits = allowed.some((one) =>
    Array.isArray(one) ? one[0] === end.code && one[1] === end.reason : one === end.code,
  )
  assert.ok(fits, `closed ${end.code} ${JSON.stringify(end.reason)}, expected ${JSON.stringify(allowed)}`)
}

/** The fault that a call must end with. */
export async function faultOf(call) {
  try {
    const result = await call
    throw new assert.AssertionError({ message: `answered with ${JSON.stringify(result)}, a fault was expected` })
  } catch (error) {
    if (error.fault === undefined) throw error
    return error.fault
  }
}

export const REFUSED = [1000, 'wse.not-authorized']
export const VIOLATION = [1000, 'wse.protocol-error']
export const EVICTED = [1000, 'wse.clients-concurrency']
