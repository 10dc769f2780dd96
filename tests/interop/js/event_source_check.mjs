// Checks the example event_source with npm `eventsource`, an EventSource for Node that follows WHATWG HTML.
//
//     node event_source_check.mjs --server PATH
//
// One line per check, `ok - name` or `not ok - name: why`; the last line is `N passed, M failed`, and tells
// the exit code.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { EventSource } from 'eventsource'
import { sleep, within } from './wait.mjs'

const PATIENCE = 15_000
/** Ticks in each stream, after which the server ends it. */
const TICKS = 3

const { values } = parseArgs({ options: { server: { type: 'string' } } })
if (!values.server) throw new Error('--server PATH is missing')

/** Starts the server; its URL. */
async function start() {
  const child = spawn(values.server, ['127.0.0.1:0', String(TICKS)], { stdio: ['ignore', 'pipe', 'inherit'] })
  process.on('exit', () => child.kill())
  for await (const line of createInterface({ input: child.stdout })) return line.replace('listening on ', '')
  throw new Error('the server said nothing')
}

/** An EventSource that notes what it hears and what it asked for, until it has heard `count` ticks. */
async function listen(url, count, headers = {}) {
  const heard = []
  const asked = []
  const lost = []
  const source = new EventSource(url, {
    fetch: (input, init) => {
      const all = { ...init.headers, ...headers }
      asked.push(all)
      return fetch(input, { ...init, headers: all })
    },
  })
  try {
    await within(PATIENCE, `${count} ticks`, new Promise((resolve) => {
      source.addEventListener('message', () => heard.push('an event without its name'))
      source.addEventListener('error', () => lost.push(Date.now()))
      source.addEventListener('open', () => heard.push(`open ${Date.now()}`))
      source.addEventListener('tick', ({ data, lastEventId }) => {
        heard.push({ data, lastEventId })
        if (heard.filter((it) => it.data).length === count) resolve()
      })
    }))
  } finally {
    source.close()
  }
  return { ticks: heard.filter((it) => it.data), heard, asked, lost }
}

const tick = (number) => ({ data: `tick\n${number}`, lastEventId: String(number) })

const checks = {
  'the page and the stream are on one port': async (url) => {
    const page = await fetch(url)
    assert.equal(page.headers.get('content-type'), 'text/html; charset=utf-8')
    assert.match(await page.text(), /new EventSource/)
    const response = await fetch(url, { headers: { accept: 'text/event-stream' } })
    assert.equal(response.headers.get('content-type'), 'text/event-stream')
    assert.equal(response.headers.get('cache-control'), 'no-cache, no-transform')
    assert.equal(response.headers.get('x-accel-buffering'), 'no')
    await response.body.cancel()
  },
  'events have names, ids and data of several lines': async (url) => {
    const { ticks, heard } = await listen(url, TICKS)
    assert.deepEqual(ticks, [1, 2, 3].map(tick))
    assert.ok(!heard.includes('an event without its name'))
  },
  'it comes back after the retry time and goes on behind the last event': async (url) => {
    const { ticks, heard, asked, lost } = await listen(url, 2 * TICKS + 1)
    assert.deepEqual(ticks, [1, 2, 3, 4, 5, 6, 7].map(tick))
    assert.deepEqual(asked.map((it) => it['Last-Event-ID']), [undefined, '3', '6'])
    const opened = heard.filter((it) => !it.data).map((it) => Number(it.split(' ')[1]))
    assert.equal(opened.length, 3)
    const waited = opened[1] - lost[0]
    // The server says 500 ms; unasked it would be 3 s.
    assert.ok(waited >= 450 && waited < 2500, `waited ${waited} ms`)
  },
  'a stream ends as a whole body does': async (url) => {
    const response = await fetch(url, { headers: { accept: 'text/event-stream', 'last-event-id': '41' } })
    const body = await within(PATIENCE, 'the end', response.text())
    assert.equal(body, `retry: 500\n\n${[42, 43, 44].map((it) => `event: tick\nid: ${it}\ndata: tick\ndata: ${it}\n\n`).join('')}`)
  },
  'many come and go': async (url) => {
    const all = await Promise.all(Array.from({ length: 20 }, () => listen(url, 2)))
    for (const { ticks } of all) assert.deepEqual(ticks, [1, 2].map(tick))
  },
  'another page is refused': async (url) => {
    const headers = { accept: 'text/event-stream', origin: 'http://evil.example' }
    assert.equal((await fetch(url, { headers })).status, 403)
  },
}

const url = await within(PATIENCE, 'the address', start())
let failed = 0
for (const [name, check] of Object.entries(checks)) {
  try {
    await within(2 * PATIENCE, name, check(url))
    console.log(`ok - ${name}`)
  } catch (error) {
    failed += 1
    console.log(`not ok - ${name}: ${error.message}`)
  }
}
console.log(`${Object.keys(checks).length - failed} passed, ${failed} failed`)
await sleep(0)
process.exit(failed === 0 ? 0 : 1)
