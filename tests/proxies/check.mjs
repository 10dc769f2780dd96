// Checks a server behind each proxy, as its users see it: `node check.mjs PROXIED_SERVER`.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { sleep, until, within } from '../interop/js/wait.mjs'
import { StreamSocket } from '../interop/js/http2.mjs'
import { PROXIES, start, version } from './proxies.mjs'

const WebSocket = createRequire(new URL('../interop/js/client.mjs', import.meta.url))('ws')

/** The client's address: another than the proxies'. */
const CLIENT = '127.0.0.2'
/** Longer than the proxies let a connection be silent. */
const SILENCE = 7000
const LIMIT = 1 << 20

let [passed, failed] = [0, 0]
const rows = []

async function check(name, what, run) {
  try {
    await run()
    passed += 1
    console.log(`ok - ${name}: ${what}`)
  } catch (error) {
    failed += 1
    console.log(`not ok - ${name}: ${what}: ${error.stack}`)
  }
}

/** A WebSocket of the library `ws` or on a stream of HTTP/2, as one thing: `say`, `hear`, `closed`. */
class Socket {
  static async over1(url, origin) {
    const ws = new WebSocket(url, 'wse-default-json', { origin, localAddress: CLIENT, perMessageDeflate: false })
    const socket = new Socket()
    const heard = []
    let wake = () => {}
    ws.on('message', (data) => {
      heard.push(data.toString())
      wake()
    })
    socket.say = (text) => ws.send(text)
    socket.hear = async () => {
      while (heard.length === 0) await within(10_000, 'message', new Promise((resolve) => (wake = resolve)))
      return heard.shift()
    }
    const closed = once(ws, 'close')
    socket.closed = async () => {
      const [code, reason] = await within(10_000, 'close', closed)
      return [code, reason.toString()]
    }
    const refused = new Promise((resolve) => ws.on('unexpected-response', (_, response) => resolve(response)))
    ws.on('error', () => {})
    const first = await within(10_000, 'upgrade', Promise.race([once(ws, 'open'), refused, once(ws, 'error')]))
    if (first instanceof http.IncomingMessage) {
      socket.status = first.statusCode
      socket.body = (await first.toArray()).join('')
    } else if (first[0] instanceof Error) throw first[0]
    return socket
  }

  static async over2(url, path, origin) {
    const session = http2.connect(url, { localAddress: CLIENT })
    session.on('error', () => {})
    await within(4000, 'settings', once(session, 'remoteSettings'))
    const stream = await StreamSocket.open(session, path, { origin, 'sec-websocket-protocol': 'wse-default-json' })
    const socket = new Socket()
    socket.status = stream.status
    if (stream.status !== 200) {
      socket.body = (await stream.stream.toArray()).join('')
      session.destroy()
      return socket
    }
    socket.status = undefined
    socket.say = (text) => stream.send(text)
    socket.hear = async () => (await stream.next()).toString()
    socket.closed = async () => {
      const { code, reason } = await until(10_000, 'close', () => stream.close)
      stream.sender.close(code, '', true)
      // Apache ends its side of the stream only when the client has ended its own.
      stream.stream.end()
      await within(4000, 'end of the stream', stream.ended)
      session.destroy()
      return [code, reason]
    }
    return socket
  }

  async login() {
    this.say(JSON.stringify(['~wse:hi', { identity: 'ann', meta: {} }, null]))
    const [type] = JSON.parse(await this.hear())
    assert.equal(type, '~wse:welcome')
  }

  async call(name, payload) {
    this.say(JSON.stringify([name, payload, 'stamp']))
    const [type, result, stamp] = JSON.parse(await this.hear())
    assert.deepEqual([type, stamp], ['~wse:response', 'stamp'], JSON.stringify(result))
    return result
  }
}

/** The ways in: what a page has in its address bar, and how its browser connects. */
function ways(proxy) {
  const { plain, tls } = proxy
  const [http, https] = [`http://127.0.0.1:${plain}`, `https://127.0.0.1:${tls}`]
  const over1 = (base, origin) => (path) => Socket.over1(base.replace('http', 'ws') + path, origin)
  const all = [
    ['plain', over1(http, http)],
    ['TLS', over1(https, https)],
  ]
  if (proxy.http2 === 'websockets') all.push(['HTTP/2', (path) => Socket.over2(https, path, https)])
  return all
}

/** The first events of the stream, which come while it goes on. */
async function events(proxy, way) {
  if (way === 'HTTP/2') return await events2(proxy)
  const [client, url] = way === 'TLS' ? [https, `https://127.0.0.1:${proxy.tls}`] : [http, `http://127.0.0.1:${proxy.plain}`]
  const request = client.get(`${url}/events`, { headers: { accept: 'text/event-stream' }, localAddress: CLIENT })
  const [response] = await within(4000, 'response', once(request, 'response'))
  assert.equal(response.statusCode, 200)
  await first(response)
  request.destroy()
}

async function events2(proxy) {
  const session = http2.connect(`https://127.0.0.1:${proxy.tls}`)
  const stream = session.request({ ':path': '/events', accept: 'text/event-stream' })
  const [headers] = await within(4000, 'response', once(stream, 'response'))
  assert.equal(headers[':status'], 200)
  await first(stream)
  session.destroy()
}

async function first(stream) {
  let text = ''
  await within(4000, 'three events', (async () => {
    for await (const data of stream) {
      text += data
      if (text.includes('data: 3\n')) return
    }
  })())
  for (const number of [1, 2, 3]) assert.match(text, new RegExp(`^data: ${number}$`, 'm'))
}

/** Everything that ends before the shutdown; the connection stays open. */
async function through(proxy, way, open) {
  const name = `${proxy.name}, ${way}`
  let socket
  await check(name, 'login', async () => {
    socket = await open('/chat')
    assert.equal(socket.status, undefined, socket.body)
    await socket.login()
  })
  if (socket?.say === undefined) return undefined
  await check(name, 'calls', async () => {
    for (let n = 0; n < 100; n++) assert.equal(await socket.call('echo', `text ${n}`), `text ${n}`)
  })
  await check(name, 'a message of 1 MiB there and back', async () => {
    const overhead = JSON.stringify(['~wse:response', '', 'stamp']).length
    const text = 'x'.repeat(LIMIT - overhead)
    assert.equal(await socket.call('echo', text), text)
  })
  await check(name, "the client's address", async () => assert.equal(await socket.call('address', null), CLIENT))
  await check(name, 'a stream of events', () => events(proxy, way))
  await check(name, 'a refused Origin is explained', async () => {
    const refused = await open('/strict')
    const scheme = way === 'plain' ? 'http' : 'https'
    const port = way === 'plain' ? proxy.plain : proxy.tls
    assert.equal(refused.status, 403)
    assert.ok(refused.body.includes(`Origin is ${scheme}://127.0.0.1:${port}, and Host is ${server.replace('http://', '')}.`), refused.body)
  })
  await check(name, 'silence longer than the idle limit', async () => {
    await sleep(SILENCE)
    assert.equal(await socket.call('echo', 'still here'), 'still here')
  })
  return { name, socket }
}

const child = spawn(process.argv[2], ['--addr', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] })
const ended = once(child, 'exit')
const [line] = await within(10_000, 'the server', once(child.stdout, 'data'))
const server = line.toString().trim().replace('listening on ', '')

const proxies = []
for (const name of Object.keys(PROXIES)) {
  await check(name, 'starts', async () => proxies.push(await start(name, server.replace('http://', ''))))
}
const open = await Promise.all(
  proxies.flatMap((proxy) => [
    ...ways(proxy).map(([way, open]) => through(proxy, way, open)),
    proxy.http2 === 'streams' ? check(`${proxy.name}, HTTP/2`, 'a stream of events', () => events(proxy, 'HTTP/2')) : undefined,
  ]),
)
const connections = open.filter((it) => it?.socket)

// Wait for the closes first: they come at once.
const closing = connections.map(({ name, socket }) =>
  check(name, '1001 at shutdown', async () => assert.deepEqual(await socket.closed(), [1001, 'wse.by-server'])),
)
child.kill('SIGTERM')
await Promise.all(closing)
await check('the server', 'ends by itself', async () => assert.deepEqual(await within(10_000, 'end', ended), [0, null]))
for (const proxy of proxies) await proxy.stop()

console.log('\nproxy    version     WebSockets over')
for (const proxy of proxies) {
  const over = ways(proxy).map(([way]) => way)
  console.log(`${proxy.name.padEnd(8)} ${(await version(proxy.name)).padEnd(11)} ${over.join(', ')}`)
}
if (failed > 0) for (const proxy of proxies) console.log(`--- ${proxy.name}\n${proxy.said().slice(-2000)}`)
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)
