// Pings and pongs, in both directions, and what becomes of who does not answer.

import assert from 'node:assert/strict'
import { sleep, until, within } from '../wait.mjs'
import { acked, assertOutcomes, failed, SOON } from './bench.mjs'

const flags = (interval, timeout) => ['--heartbeat-interval', String(interval), '--heartbeat-timeout', String(timeout)]
const silent = { pong: () => undefined }

/** That the endpoint closes this one, this many seconds after it was opened. */
async function closedAfter(raw, seconds, slack = 2) {
  const { at } = await within((seconds + 5) * 1000, 'the end', raw.closed)
  const took = (at - raw.openedAt) / 1000
  assert.ok(took >= seconds * 0.9 && took < seconds + slack, `closed after ${took} s`)
}

export const groups = [
  {
    title: 'heartbeats',
    flags: flags(0.2, 1),
    checks: {
      'pings start with 1 when the connection opens, and count up': async (bench) => {
        const raw = await bench.raw()
        await until(SOON, 'pings', () => raw.pings.length >= 5)
        assert.deepEqual(raw.pings.slice(0, 5).map(({ number }) => number), [1, 2, 3, 4, 5])
      },
      'each connection counts for itself': async (bench) => {
        await bench.raw()
        await sleep(500)
        const raw = await bench.raw()
        await until(SOON, 'a ping', () => raw.pings.length)
        assert.equal(raw.pings[0].number, 1)
      },
      'pings come at the interval that was given': async (bench) => {
        const raw = await bench.raw()
        await sleep(2500)
        const { length } = raw.pings
        assert.ok(length >= 8 && length <= 14, `${length} pings in 2.5 s`)
      },
      'pings are counted, and pongs': async (bench) => {
        const raw = await bench.raw()
        await until(SOON, 'pings', () => raw.pings.length >= 4)
        const { data } = await raw.request({ do: 'heartbeats' })
        assert.deepEqual(Object.keys(data).sort(), ['answered', 'sent'])
        assert.ok(data.sent >= 4 && data.sent <= raw.pings.length, JSON.stringify(data))
        assert.ok(data.answered >= 3 && data.answered <= data.sent, JSON.stringify(data))
      },
      'pings without pongs are not counted as answered': async (bench) => {
        const raw = await bench.raw(silent)
        await until(SOON, 'pings', () => raw.pings.length >= 2)
        const { data } = await raw.request({ do: 'heartbeats' })
        assert.ok(data.sent >= 2 && data.answered === 0, JSON.stringify(data))
      },
      'who answers stays': async (bench) => {
        const client = await bench.client()
        await sleep(3000)
        assert.equal(await client.request({ do: 'echo', value: 'still' }), 'still')
        const { sent, answered } = await client.request({ do: 'heartbeats' })
        assert.ok(sent >= 9 && answered >= sent - 2, `${sent} sent, ${answered} answered`)
      },
      'a pong that is late but in time is good': async (bench) => {
        const raw = await bench.raw({
          pong(number) {
            setTimeout(() => this.end ?? this.send({ type: 'pong', data: number }), 500)
          },
        })
        await sleep(3000)
        await raw.usable()
      },
      'who does not answer is closed after the timeout': async (bench) => {
        const raw = await bench.raw(silent)
        await closedAfter(raw, 1)
      },
      'other messages are no pongs': async (bench) => {
        const raw = await bench.raw(silent)
        const chatter = setInterval(() => raw.send({ type: 'note', data: 'here' }), 100)
        await closedAfter(raw, 1).finally(() => clearInterval(chatter))
      },
      'pongs that belong to no ping are no pongs': async (bench) => {
        for (const wrong of [(number) => number + 1000, () => 'x', () => null, (number) => ({ number })]) {
          const raw = await bench.raw({ pong: wrong })
          await closedAfter(raw, 1)
        }
      },
      'who stops answering is closed, and what runs fails': async (bench) => {
        const raw = await bench.raw()
        const [plain, known, unknown, noted] = Array.from({ length: 4 }, () => bench.tag())
        await raw.usable()
        await sleep(1200)
        raw.pong = () => undefined
        const stopped = Date.now()
        await raw.asked('a', { timeout: 20, tag: plain })
        const { stamp } = await raw.asked('b', { ack: true, timeout: 20, tag: known })
        raw.send({ type: 'requestAck', stamp })
        await raw.asked('c', { ack: true, timeout: 20, tag: unknown })
        await raw.request({ do: 'send-note', note: 'n', ack: true, timeout: 20, tag: noted })
        const { at } = await within(SOON, 'the end', raw.closed)
        assert.ok(at - stopped >= 700 && at - stopped < 3500, `closed after ${at - stopped} ms`)
        assertOutcomes(await bench.outcomes(plain, 1), failed(1))
        assertOutcomes(await bench.outcomes(known, 2), acked(0), failed(1.1))
        assertOutcomes(await bench.outcomes(unknown, 1), failed(1.2))
        assertOutcomes(await bench.outcomes(noted, 1), acked(1))
      },
      'only who is silent is closed': async (bench) => {
        const [raw, client] = [await bench.raw(silent), await bench.client()]
        await closedAfter(raw, 1)
        assert.equal(await client.request({ do: 'echo', value: 'still' }), 'still')
        assert.equal(client.end, undefined)
      },
      'a ping of the client is answered at once with its data': async (bench) => {
        const raw = await bench.raw()
        for (const data of [1, 0, -7.5, 'x', '', true, [1, { a: null }], { b: 'ä😀' }, 'y'.repeat(10_000)]) {
          const start = Date.now()
          raw.pongs.length = 0
          raw.send({ type: 'ping', data })
          await until(SOON, 'the pong', () => raw.pongs.length)
          assert.deepEqual(raw.pongs[0].data, data)
          assert.ok(raw.pongs[0].at - start < 500, 'it took long')
        }
      },
      'a ping without data, or null, is answered': async (bench) => {
        const raw = await bench.raw()
        for (const ping of [{ type: 'ping' }, { type: 'ping', data: null }]) {
          raw.pongs.length = 0
          raw.send(ping)
          await until(SOON, 'the pong', () => raw.pongs.length)
          assert.equal(raw.pongs[0].data ?? null, null)
        }
      },
      'pings are answered in order': async (bench) => {
        const raw = await bench.raw()
        for (let number = 1; number <= 100; number += 1) raw.send({ type: 'ping', data: number })
        await until(SOON, 'the pongs', () => raw.pongs.length === 100)
        assert.deepEqual(raw.pongs.map(({ data }) => data), Array.from({ length: 100 }, (_, at) => at + 1))
      },
      'the package finds the endpoint alive': async (bench) => {
        const tiny = 1e-9
        const client = await bench.client({
          heartbeatMinInterval: 0.1, heartbeatRttIntervalMultiplicator: tiny,
          heartbeatMinTimeout: 1, heartbeatRttTimeoutMutiplicator: tiny,
        })
        await sleep(2500)
        assert.equal(client.gaveUp, undefined)
        assert.ok(client.pongs.length >= 10, `${client.pongs.length} pongs`)
        assert.deepEqual(client.pongs.slice(0, 3).map(({ data }) => data), [1, 2, 3])
      },
    },
  },
  {
    title: 'heartbeats with long intervals',
    flags: flags(60, 1),
    checks: {
      'the first ping comes at once, and its pong is waited for': async (bench) => {
        const [good, bad] = [await bench.raw(), await bench.raw(silent)]
        await closedAfter(bad, 1)
        await sleep(500)
        await good.usable()
        assert.deepEqual(good.pings.map(({ number }) => number), [1])
        assert.ok(good.pings[0].at - good.openedAt < 1000, 'the first one waits')
        const { data } = await good.request({ do: 'heartbeats' })
        assert.deepEqual(data, { sent: 1, answered: 1 })
      },
    },
  },
  {
    title: 'heartbeats by default',
    long: 20,
    checks: {
      'pings come every 2 s, and a pong may take 10 s': async (bench) => {
        const [good, bad] = [await bench.raw(), await bench.raw(silent)]
        await until(8000, 'pings', () => good.pings.length >= 4)
        const gaps = good.pings.slice(1).map(({ at }, index) => at - good.pings[index].at)
        assert.ok(good.pings[0].at - good.openedAt < 1000, 'the first one waits')
        for (const gap of gaps) assert.ok(gap >= 1800 && gap < 3500, `gaps of ${gaps} ms`)
        await closedAfter(bad, 10, 3)
        await good.usable()
      },
    },
  },
]
