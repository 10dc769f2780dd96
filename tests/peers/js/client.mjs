// JavaScript clients against our echo server: client.mjs ws|undici|deno|bun URL RAISED DEFLATE.
//
// RAISED is the URL of a server that takes 5 MiB, DEFLATE that of one that compresses. It prints one line for each check: `ok NAME`,
// a note behind it, or `failed NAME: CAUSE`; `none NAME` is what the library has no way to do.

import process from 'node:process'
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { once } from 'node:events'

const [library, URL, RAISED, DEFLATE] = process.argv.slice(2)
const MIB = 1 << 20
const TEXT = 'grüße 😀 '

class NoWay extends Error {}

/** The API of browsers, which undici, Deno and Bun have. */
class Browser {
  static async open(url) {
    const Socket = library === 'undici' ? (await import('undici')).WebSocket : globalThis.WebSocket
    const ws = new Socket(url)
    ws.binaryType = 'arraybuffer'
    const client = new Browser()
    client.ws = ws
    const heard = []
    let wake = () => {}
    const put = (item) => {
      heard.push(item)
      wake()
    }
    ws.onmessage = ({ data }) => put(typeof data === 'string' ? data : Buffer.from(data))
    ws.onclose = ({ code, reason }) => put({ code, reason })
    client.next = async () => {
      while (heard.length === 0) await new Promise((resolve) => (wake = resolve))
      return heard.shift()
    }
    await new Promise((resolve, reject) => {
      ws.onopen = resolve
      ws.onerror = (event) => reject(new Error(event.message ?? 'not connected'))
    })
    ws.onerror = () => {}
    return client
  }

  send(message) {
    this.ws.send(message)
  }

  async ping() {
    if (library === 'undici') {
      const { ping } = await import('undici')
      if (ping === undefined) throw new NoWay()
      const diagnostics = (await import('node:diagnostics_channel')).default
      const pong = new Promise((resolve) => diagnostics.subscribe('undici:websocket:pong', ({ payload }) => resolve(payload)))
      ping(this.ws, Buffer.from('are you there?'))
      assert.equal(Buffer.from(await pong).toString(), 'are you there?')
    } else if (library === 'bun') {
      const pong = once(this.ws, 'pong')
      this.ws.ping('are you there?')
      await pong
    } else throw new NoWay()
  }

  close(code, reason) {
    this.ws.close(code, reason)
  }

  split() {
    throw new NoWay()
  }

  get extensions() {
    return this.ws.extensions
  }
}

class Ws {
  static async open(url) {
    const { default: WebSocket } = await import('ws')
    const client = new Ws()
    const ws = (client.ws = new WebSocket(url, { perMessageDeflate: url === DEFLATE && { threshold: 0 } }))
    const heard = []
    let wake = () => {}
    const put = (item) => {
      heard.push(item)
      wake()
    }
    ws.on('message', (data, binary) => put(binary ? data : data.toString()))
    ws.on('close', (code, reason) => put({ code, reason: reason.toString() }))
    client.next = async () => {
      while (heard.length === 0) await new Promise((resolve) => (wake = resolve))
      return heard.shift()
    }
    await once(ws, 'open')
    ws.on('error', () => {})
    return client
  }

  send(message) {
    this.ws.send(message)
  }

  async ping() {
    this.ws.ping('are you there?')
    const [payload] = await once(this.ws, 'pong')
    assert.equal(payload.toString(), 'are you there?')
  }

  close(code, reason) {
    this.ws.close(code, reason)
  }

  split(pieces) {
    pieces.forEach((piece, n) => this.ws.send(piece, { binary: false, fin: n === pieces.length - 1 }))
  }

  get extensions() {
    return this.ws.extensions
  }
}

const { open } = library === 'ws' ? Ws : Browser

async function echo(client, message) {
  client.send(message)
  const back = await client.next()
  assert.ok(typeof message === 'string' ? back === message : Buffer.isBuffer(back) && back.equals(message), 'another came back')
}

const checks = {
  sizes: async () => {
    const client = await open(URL)
    for (const size of [0, 1, 125, 126, 65535, 65536]) {
      await echo(client, Buffer.alloc(size, 7))
      await echo(client, 'x'.repeat(size))
    }
    await echo(client, TEXT.repeat(1000))
  },
  '1MiB': async () => await echo(await open(URL), Buffer.alloc(MIB, 7)),
  '+1': async () => {
    const client = await open(URL)
    client.send(Buffer.alloc(MIB + 1, 7))
    const { code, reason } = await client.next()
    assert.deepEqual([code, reason?.slice(0, 26)], [1009, 'message over 1048576 bytes'])
    return '1009'
  },
  '5MiB': async () => await echo(await open(RAISED), Buffer.alloc(5 * MIB, 7)),
  ping: async () => await (await open(URL)).ping(),
  theirs: async () => {
    const client = await open(URL)
    client.close(4002, 'done')
    const { code } = await client.next()
    assert.equal(code, 4002)
    return '4002'
  },
  ours: async () => {
    const client = await open(URL)
    client.send('close')
    assert.deepEqual(await client.next(), { code: 4001, reason: 'bye' })
    return '4001'
  },
  deflate: async () => {
    const client = await open(DEFLATE)
    if (client.extensions === '') throw new NoWay()
    for (const message of ['', 'x', TEXT.repeat(10_000), '', TEXT.repeat(10_000)]) await echo(client, message)
    return client.extensions.replace(/^permessage-deflate;? ?/, '')
  },
  split: async () => {
    const client = await open(URL)
    client.send('split')
    assert.equal(await client.next(), 'é')
    try {
      client.split([...Buffer.from(TEXT)].map((byte) => Buffer.from([byte])))
    } catch (error) {
      if (error instanceof NoWay) return 'here'
      throw error
    }
    assert.equal(await client.next(), TEXT)
    return 'both ways'
  },
}

let failed = 0
for (const [name, check] of Object.entries(checks)) {
  try {
    const limit = new Promise((_, reject) => setTimeout(() => reject(new Error('nothing came within 15 s')), 15_000))
    console.log(`ok ${name} ${(await Promise.race([check(), limit])) ?? ''}`.trimEnd())
  } catch (error) {
    if (error instanceof NoWay) console.log(`none ${name}`)
    else {
      failed = 1
      console.log(`failed ${name}: ${error.message}`)
    }
  }
}
process.exit(failed)
