// What the checks of wsprocessor work with: the endpoint as a process, the real npm package as a client, and a
// client that sends whatever text it is told to. All that either hears is checked to be well written.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import WebSocket from 'ws'
import WsProcessor from 'wsprocessor'
import { sleep, until, within } from '../wait.mjs'

/** For what must happen, on a machine that is busy. */
export const SOON = 5_000
/** How long to look whether something happens that must not. */
export const QUIET = 250

/** The members of each type in the order they are written; one with `?` may be missing. */
const MEMBERS = {
  note: 'type sendAck stamp? data?',
  noteAck: 'type stamp?',
  request: 'type sendAck stamp data',
  requestAck: 'type stamp',
  response: 'type sendAck stamp data failureCode',
  responseAck: 'type stamp',
  ping: 'type data',
  pong: 'type data?',
  error: 'type data',
}

/** Whether what the endpoint sent is what the format allows. */
function assertWellWritten(text, binary) {
  assert.ok(!binary, `a binary frame came: ${text}`)
  const message = JSON.parse(text)
  assert.ok(Object.hasOwn(MEMBERS, message.type), `of no known type: ${text}`)
  const keys = MEMBERS[message.type].split(' ')
  const written = keys.map((key) => key.replace('?', '')).filter((key) => Object.hasOwn(message, key))
  assert.deepEqual(Object.keys(message), written, `members or their order: ${text}`)
  for (const key of keys) assert.ok(key.endsWith('?') || Object.hasOwn(message, key), `no ${key}: ${text}`)
  if (written.includes('sendAck')) assert.equal(typeof message.sendAck, 'boolean', text)
  if (message.sendAck) assert.ok(message.stamp, `an acknowledgement is asked for without a stamp: ${text}`)
  if (['request', 'response'].includes(message.type)) assert.notEqual(message.data, null, text)
  if (message.type === 'ping') assert.equal(typeof message.data, 'number', text)
  if (message.type === 'error') assert.equal(typeof message.data, 'string', text)
}

/** A failed request: the code and the text that came. */
export class Failure extends Error {
  constructor(code, text) {
    super(`failure ${JSON.stringify(code)}: ${text}`)
    this.code = code
    this.text = text
  }
}

/** What both clients are: a socket, and in order what went either way over it. */
class Wire {
  /** `{from: 'us' | 'endpoint', message, at}`, without pings and pongs. */
  log = []
  pings = []
  pongs = []
  /** What the endpoint should not have written. */
  flaws = []

  constructor(url) {
    this.socket = new WebSocket(url)
    this.socket.on('error', () => {}) // followed by `close`
    this.socket.on('message', (data, binary) => this.#hear(data.toString(), binary))
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: reason.toString(), at: Date.now() }))
    })
    this.closed.then((end) => (this.end = end))
  }

  async opened() {
    await within(SOON, 'the connection', once(this.socket, 'open'))
    this.openedAt = Date.now()
    return this
  }

  #hear(text, binary) {
    try {
      assertWellWritten(text, binary)
    } catch (flaw) {
      this.flaws.push(flaw)
    }
    this.record('endpoint', text)
    this.receive(text)
  }

  record(from, text) {
    let message
    try {
      message = JSON.parse(text)
    } catch {
      message = text
    }
    const at = Date.now()
    if (from === 'endpoint' && message.type === 'ping') this.pings.push({ number: message.data, at })
    else if (from === 'endpoint' && message.type === 'pong') this.pongs.push({ ...message, at })
    else if (!['ping', 'pong'].includes(message?.type)) this.log.push({ from, message, at })
  }

  /** What came from the endpoint, of this type if one is named. */
  heard(type) {
    const all = this.log.filter(({ from }) => from === 'endpoint').map(({ message }) => message)
    return type ? all.filter((message) => message.type === type) : all
  }

  /** The types in the order of the wire, those of the endpoint behind a `<`. */
  order() {
    return this.log.map(({ from, message }) => (from === 'us' ? '' : '<') + message.type)
  }

  terminate() {
    this.socket.terminate()
  }
}

/** The real package over npm `ws`, wired as its README says. */
export class Client extends Wire {
  notes = []
  /** Answers the requests of the endpoint: `(request, respond) => …`. */
  answer = (_, respond) => respond('nobody answers here', 501)

  constructor(url, options = {}) {
    super(url)
    this.socket.on('open', () => {
      this.processor = new WsProcessor(
        (text) => {
          if (this.socket.readyState !== WebSocket.OPEN) return
          this.record('us', text)
          this.socket.send(text)
        },
        () => {
          this.gaveUp = true
          this.socket.close()
        },
        (note) => this.notes.push(note),
        (request, respond) => this.answer(request, respond),
        undefined,
        options,
      )
    })
    this.socket.on('close', () => this.processor?.close())
  }

  receive(text) {
    this.processor.onMessage(text)
  }

  /** Sends a request; its answer. `acks` gets the statuses of its acknowledgement. */
  request(data, options = {}, acks = []) {
    const answer = new Promise((resolve, reject) => {
      const failed = (code, text) => reject(new Failure(code, text))
      this.processor.sendRequest(data, resolve, failed, { ...options }, (status) => acks.push(status))
    })
    return within(30_000, `an answer to ${JSON.stringify(data).slice(0, 60)}`, answer)
  }

  /** The failure of a request that must fail. */
  async failure(data, options, acks) {
    const answer = await this.request(data, options, acks).catch((error) => error)
    assert.ok(answer instanceof Failure, `no failure but ${answer?.message ?? JSON.stringify(answer)}`)
    return answer
  }

  /** Sends a note; with an acknowledgement its status. */
  note(data, options) {
    if (!options?.sendAck) return this.processor.sendNote(data)
    const ack = new Promise((resolve) => this.processor.sendNote(data, { ...options }, resolve))
    return within(SOON, 'the acknowledgement of a note', ack)
  }
}

/** A client that does nothing of its own, but answer pings with what `pong` makes of their numbers, if anything. */
export class Raw extends Wire {
  #stamps = 0

  constructor(url, { pong = (number) => number } = {}) {
    super(url)
    this.pong = pong
  }

  receive(text) {
    const { type, data } = JSON.parse(text)
    if (type !== 'ping') return
    const answer = this.pong(data)
    if (answer !== undefined) this.send({ type: 'pong', data: answer })
  }

  send(message, binary = false) {
    const text = typeof message === 'string' ? message : JSON.stringify(message)
    if (this.socket.readyState !== WebSocket.OPEN) return
    this.record('us', text)
    this.socket.send(binary ? Buffer.from(text) : text)
  }

  /** The message of the endpoint that `fits`, which may have come already. */
  expect(what, fits, ms = SOON) {
    const find = () => {
      assert.ok(!this.end || this.heard().some(fits), `${what}: closed with ${this.end?.code} instead`)
      return this.heard().find(fits)
    }
    return until(ms, what, find)
  }

  /** Sends a request and waits for its response. */
  request(data, stamp = `raw ${(this.#stamps += 1)}`) {
    this.send({ type: 'request', sendAck: false, stamp, data })
    return this.expect('the response', (each) => each.type === 'response' && each.stamp === stamp)
  }

  /** Has the endpoint ask this client; the request that comes. */
  async asked(request, options) {
    await this.request({ do: 'ask', request, ack: false, ...options })
    return this.expect('the request', (each) => each.type === 'request' && each.data === request)
  }

  /** Whether it is still served. */
  async usable() {
    const value = `usable ${this.#stamps}`
    const { data, failureCode } = await this.request({ do: 'echo', value })
    assert.deepEqual([data, failureCode], [value, 0])
  }
}

const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** The endpoint as a process. */
class Endpoint {
  static async start(command, flags) {
    const endpoint = new Endpoint()
    const [program, ...before] = command
    const child = spawn(program, [...before, '--addr', '127.0.0.1:0', ...flags], { stdio: ['ignore', 'pipe', 'inherit'] })
    endpoint.child = child
    running.add(child)
    child.on('exit', () => running.delete(child))
    const lines = createInterface({ input: child.stdout })
    const failed = new Promise((_, reject) => {
      child.on('error', reject)
      child.on('exit', (code, signal) => reject(new Error(`the endpoint ended with ${code ?? signal}`)))
    })
    failed.catch(() => {})
    const [line] = await within(SOON, 'the line with the address', Promise.race([once(lines, 'line'), failed]))
    assert.match(line, /^listening on ws:\/\/127\.0\.0\.1:\d+$/)
    endpoint.url = line.replace('listening on ', '')
    return endpoint
  }
}

/** An endpoint of its own for a group of checks, and the clients of the check that runs. */
export class Bench {
  #clients = []
  #tags = 0

  static async start(command, flags) {
    const bench = new Bench()
    bench.endpoint = await Endpoint.start(command, flags)
    // Somebody else, who must not notice anything.
    bench.witness = await new Client(bench.endpoint.url).opened()
    return bench
  }

  get url() {
    return this.endpoint.url
  }

  async client(options) {
    const client = new Client(this.url, options)
    this.#clients.push(client)
    return client.opened()
  }

  async raw(options) {
    const raw = new Raw(this.url, options)
    this.#clients.push(raw)
    return raw.opened()
  }

  /** A text that no other check uses: what the endpoint lists covers everyone. */
  tag() {
    this.#tags += 1
    return `tag ${this.#tags}`
  }

  /** What happened under a tag, as soon as it is this much, and nothing else a little later. */
  async outcomes(tag, count, ms = SOON) {
    const list = () => this.witness.request({ do: 'outcomes', tag })
    await until(ms, `${count} outcomes`, async () => (await list()).length >= count)
    await sleep(QUIET / 2)
    return list()
  }

  async connections() {
    return this.witness.request({ do: 'connections' })
  }

  /** Ends what the check has left open; throws when anything was badly written, or noticed by the witness. */
  async tidy() {
    for (const client of this.#clients) client.terminate()
    const all = [this.witness, ...this.#clients]
    this.#clients = []
    const flaw = all.flatMap(({ flaws }) => flaws)[0]
    if (flaw) throw flaw
    const noticed = this.witness.heard().filter(({ type }) => type !== 'response')
    assert.deepEqual(noticed, [], 'the witness noticed something')
    this.witness.log = []
    assert.equal(this.witness.end, undefined, 'the witness lost its connection')
    const left = async () => (await this.connections()) === 1
    await until(SOON, 'the connections of the check are gone', left)
  }

  async stop() {
    const { child } = this.endpoint
    this.witness.terminate()
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.kill()
      await within(SOON, 'the end of the endpoint', gone).catch(() => child.kill('SIGKILL'))
    }
  }
}

/** Asserts what happened under a tag; failures need any text where none is named. */
export function assertOutcomes(found, ...expected) {
  const plain = found.map(({ kind, message, ...rest }, at) => {
    const failure = kind === 'failure'
    if (failure) assert.equal(typeof message, 'string', `the text of failure ${rest.code}`)
    return failure && expected[at] && 'message' in expected[at] ? { kind, message, ...rest } : { kind, ...rest }
  })
  assert.deepEqual(plain, expected)
}

export const acked = (status) => ({ kind: 'ack', status })
export const success = (value) => ({ kind: 'success', value })
export const failed = (code, message) => ({ kind: 'failure', code, ...(message === undefined ? {} : { message }) })
