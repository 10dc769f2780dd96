// Checks the example one_chat: clients of several formats on its one port hear each other. MessagePack is that of npm
// `@msgpack/msgpack`, and the page's own script is run as it is served, with a document of a few lines.
//
//     node one_chat.mjs PROGRAM
//
// One line per check, `ok - name` or `not ok - name: why`; the last line is `N passed, M failed`, and tells the
// exit code.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import vm from 'node:vm'
import { decode, encode } from '@msgpack/msgpack'
import { WebSocket } from 'ws'
import { Client } from './client.mjs'
import { until, within } from './wait.mjs'

const PATIENCE = 15_000

const [program, ...others] = process.argv.slice(2)
if (!program || others.length > 0) {
  console.error('usage: one_chat.mjs PROGRAM')
  process.exit(2)
}

/** Starts the program; its URL. */
async function start() {
  const child = spawn(program, ['--addr', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] })
  process.on('exit', () => child.kill())
  for await (const line of createInterface({ input: child.stdout })) {
    assert.match(line, /^listening on http:\/\/127\.0\.0\.1:\d+$/)
    return line.replace('listening on ', '')
  }
  throw new Error('the program said nothing')
}

const msgpack = {
  name: 'wse-msgpack',
  pack: (message) => encode(message),
  unpack: (data) => decode(data),
  flags: (data) => decode(data)[3] ?? 0,
}
const json = {
  name: 'wse-default-json',
  pack: (message) => JSON.stringify(message),
  unpack: (data) => JSON.parse(data),
  flags: (data) => JSON.parse(data)[3] ?? 0,
}

const http = await within(PATIENCE, 'the address', start())
const chat = `${http.replace('http', 'ws')}/chat`

/** Everybody in the chat: `say(text)` and the lines that came, `name: text`. */
const members = {}

/** A member by one of our own clients. */
async function join(name, codec) {
  const client = await Client.connect(chat, codec, { identity: name, patience: PATIENCE })
  assert.equal(client.ws.protocol, codec.name)
  members[name] = {
    lines: () => client.received.filter(([type]) => type === 'said').map(([, said]) => `${said.by}: ${said.text}`),
    say: (text) => client.send('say', { text }),
    who: async () => (await client.call('who')).names,
    end: () => client.close(1000),
  }
}

/** A member by JSON-RPC, with nothing but a WebSocket. */
async function joinRpc(name, url, headers = {}) {
  const socket = new WebSocket(url, { headers })
  const received = []
  socket.on('message', (data, binary) => received.push(binary ? 'a binary message' : JSON.parse(data)))
  await within(PATIENCE, 'open', new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject)))
  assert.equal(socket.protocol, '')
  const send = (message) => socket.send(JSON.stringify({ jsonrpc: '2.0', ...message }))
  let id = 0
  const call = (method) => {
    id += 1
    send({ method, id })
    return until(PATIENCE, method, () => received.find((it) => it.id === id))
  }
  members[name] = {
    lines: () => received.filter((it) => it.method === 'said').map(({ params }) => `${params.by}: ${params.text}`),
    say: (text) => send({ method: 'say', params: [text] }),
    who: async () => (await call('who')).result.names,
    end: () => socket.close(1000),
    call,
  }
  await members[name].who()
}

/** A member by the page: its script, and what it would show. */
async function joinPage(name) {
  const response = await fetch(`${http}/?name=${name}`)
  assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
  const page = await response.text()
  assert.match(page, /^<!doctype html>\n/)
  const elements = { lines: { textContent: '' }, text: { value: '' }, form: {} }
  for (const id of Object.keys(elements)) assert.match(page, new RegExp(`id="${id}"`))
  const document = { getElementById: (id) => elements[id] }
  const location = new URL(response.url)
  const sockets = []
  class Socket extends WebSocket {
    constructor(...args) {
      super(...args, { origin: location.origin })
      sockets.push(this)
    }
  }
  const [, script] = /<script>(.*)<\/script>/s.exec(page)
  vm.runInNewContext(script, { document, location, URLSearchParams, WebSocket: Socket })
  const shown = () => elements.lines.textContent.split('\n').slice(0, -1)
  await until(PATIENCE, 'the welcome', () => shown().length > 0)
  assert.deepEqual(shown(), [`you are ${name}`])
  members[name] = {
    lines: () => shown().slice(1),
    say: (text) => {
      elements.text.value = text
      let prevented = false
      elements.form.onsubmit({ preventDefault: () => (prevented = true) })
      assert.deepEqual([prevented, elements.text.value], [true, ''])
    },
    end: () => sockets[0].close(1000),
  }
}

const NAMES = ['array', 'pack', 'page', 'query', 'rpc']
const TEXTS = ['hi', 'héllo \u{1f44b}', '"quoted"\n', 'x'.repeat(10_000)]

const checks = {
  'MessagePack joins': () => join('pack', msgpack),
  'a JSON array joins': () => join('array', json),
  'JSON-RPC joins without a subprotocol': () => joinRpc('rpc', chat, { authorization: 'Bearer rpc' }),
  // As a header, because npm ws wants one of those that it offers itself.
  'JSON-RPC joins whatever it offers': () =>
    joinRpc('query', `${chat}?name=query`, { 'sec-websocket-protocol': 'unheard-of' }),
  'the page joins': () => joinPage('page'),
  'all are there for all': async () => {
    for (const name of ['pack', 'array', 'rpc', 'query']) assert.deepEqual(await members[name].who(), NAMES, name)
  },
  'all hear what each says': async () => {
    const said = []
    for (const text of TEXTS) {
      for (const name of NAMES) {
        members[name].say(text)
        said.push(`${name}: ${text}`)
        // In turn, so that the order is known.
        await until(PATIENCE, said.at(-1), () => NAMES.every((it) => allLines(it).length >= said.join('\n').length))
      }
    }
    for (const name of NAMES) assert.equal(allLines(name), said.join('\n'), name)
  },
  'a fault comes in the format of its caller': async () => {
    const answer = await members.rpc.call('no such')
    assert.equal(answer.error.code, -32601)
  },
  'who does not say who it is stays out': async () => {
    const socket = new WebSocket(chat)
    const code = await within(PATIENCE, 'the end', new Promise((resolve) => socket.once('close', resolve)))
    assert.notEqual(code, 1006)
  },
  'who goes is not there any more': async () => {
    members.pack.end()
    members.page.end()
    const left = NAMES.filter((it) => !['pack', 'page'].includes(it))
    await until(PATIENCE, 'three are left', async () => (await members.rpc.who()).length === left.length)
    assert.deepEqual(await members.array.who(), left)
  },
}

/** What a member has heard, as one text: lines may have several lines. */
function allLines(name) {
  return members[name].lines().join('\n')
}

let failed = 0
for (const [name, check] of Object.entries(checks)) {
  try {
    await within(2 * PATIENCE, name, check())
    console.log(`ok - ${name}`)
  } catch (error) {
    failed += 1
    console.log(`not ok - ${name}: ${String(error.message ?? error).replaceAll(/\s*\n\s*/g, ' ').slice(0, 500)}`)
  }
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
