// Requests of the endpoint to its client: what comes of them, by code.

import assert from 'node:assert/strict'
import { sleep } from '../wait.mjs'
import { acked, assertOutcomes, failed, QUIET, success } from './bench.mjs'

const ENDS = { 'a close': (raw) => raw.socket.close(), 'no close': (raw) => raw.terminate() }

/** Asks, acknowledges if told to, and ends the connection in each way: the code of the failure. */
async function closedAs(bench, { ack, acknowledge }, code) {
  for (const end of Object.values(ENDS)) {
    const [raw, tag] = [await bench.raw(), bench.tag()]
    const { stamp } = await raw.asked('q', { ack, timeout: 20, tag })
    if (acknowledge) {
      raw.send({ type: 'requestAck', stamp })
      await raw.usable()
    }
    end(raw)
    const expected = [...(acknowledge ? [acked(0)] : []), failed(code)]
    assertOutcomes(await bench.outcomes(tag, expected.length), ...expected)
  }
}

/** Asks, acknowledges if told to, and never answers: the code of the failure. */
async function silentAs(bench, { ack, acknowledge }, code) {
  const [raw, tag] = [await bench.raw(), bench.tag()]
  const start = Date.now()
  const { stamp } = await raw.asked('q', { ack, timeout: 0.6, tag })
  if (acknowledge) raw.send({ type: 'requestAck', stamp })
  const expected = [...(acknowledge ? [acked(0)] : []), failed(code)]
  const found = await bench.outcomes(tag, expected.length)
  const took = Date.now() - start
  assert.ok(took >= 590 && took < 3000, `${took} ms`)
  assertOutcomes(found, ...expected)
  // Too late: it reaches no caller, and the peer sends at most an error report.
  raw.send({ type: 'response', sendAck: false, stamp, data: 'late', failureCode: 0 })
  await raw.usable()
  await sleep(QUIET)
  assertOutcomes(await bench.outcomes(tag, expected.length), ...expected)
  assert.equal(raw.heard('request').length, 1)
}

export const groups = [
  {
    title: 'asking',
    checks: {
      'a request of the endpoint is answered': async (bench) => {
        const client = await bench.client()
        for (const value of ['answer', 0, '', false, { a: [null] }, [1.5], 'ä😀'.repeat(10_000)]) {
          const tag = bench.tag()
          client.answer = (request, respond) => respond(value, 0)
          assert.equal(await client.request({ do: 'ask', request: { q: tag }, ack: false, timeout: 5, tag }), true)
          assertOutcomes(await bench.outcomes(tag, 1), success(value))
        }
      },
      'the request is what was given, and comes behind the response': async (bench) => {
        const client = await bench.client()
        const asked = []
        client.answer = (request, respond) => {
          asked.push(request)
          respond('ok')
        }
        const requests = ['q', 0, false, '', { do: 'echo', a: null }, [[]]]
        for (const request of requests) {
          const tag = bench.tag()
          await client.request({ do: 'ask', request, ack: false, tag })
          assertOutcomes(await bench.outcomes(tag, 1), success('ok'))
        }
        assert.deepEqual(asked, requests)
        assert.deepEqual(client.order(), Array(6).fill(['request', '<response', '<request', 'response']).flat())
        for (const request of client.heard('request')) assert.equal(request.sendAck, false)
        assert.equal(new Set(client.heard('request').map(({ stamp }) => stamp)).size, 6, 'stamps are used twice')
      },
      'a failure has the code and text of the client': async (bench) => {
        const client = await bench.client()
        for (const code of [1, 42, 400, 4.5, -1, 'nope']) {
          const tag = bench.tag()
          client.answer = (_, respond) => respond(`because ${code}`, code)
          await client.request({ do: 'ask', request: 'q', ack: false, timeout: 5, tag })
          assertOutcomes(await bench.outcomes(tag, 1), failed(code, `because ${code}`))
        }
      },
      'any failure code but 0 is a failure, and none is success': async (bench) => {
        const raw = await bench.raw()
        for (const [at, member] of ['"failureCode":0,', '', '"failureCode":0.0,', '"failureCode":-0,'].entries()) {
          const tag = bench.tag()
          const { stamp } = await raw.asked(`yes ${at}`, { timeout: 5, tag })
          raw.send(`{"type":"response",${member}"stamp":${JSON.stringify(stamp)},"data":"ok"}`)
          assertOutcomes(await bench.outcomes(tag, 1), success('ok'))
        }
        for (const code of ['1', '0.5', '"x"', '-1', '1e3']) {
          const tag = bench.tag()
          const { stamp } = await raw.asked(`no ${code}`, { timeout: 5, tag })
          raw.send(`{"failureCode":${code},"type":"response","stamp":${JSON.stringify(stamp)},"data":"no"}`)
          assertOutcomes(await bench.outcomes(tag, 1), failed(JSON.parse(code), 'no'))
        }
      },
      'an acknowledged request is status 0, then its answer': async (bench) => {
        const client = await bench.client()
        const [good, bad] = [bench.tag(), bench.tag()]
        client.answer = (request, respond) => setTimeout(() => respond(request, request === 'bad' ? 9 : 0), 50)
        await client.request({ do: 'ask', request: 'good', ack: true, timeout: 5, tag: good })
        assertOutcomes(await bench.outcomes(good, 2), acked(0), success('good'))
        await client.request({ do: 'ask', request: 'bad', ack: true, timeout: 5, tag: bad })
        assertOutcomes(await bench.outcomes(bad, 2), acked(0), failed(9, 'bad'))
        const once = ['request', '<response', '<request', 'requestAck', 'response']
        assert.deepEqual(client.order(), [...once, ...once])
        for (const request of client.heard('request')) assert.equal(request.sendAck, true)
      },
      'the answer of a client is acknowledged if it wants that': async (bench) => {
        const client = await bench.client()
        for (const code of [0, 5]) {
          const tag = bench.tag()
          const status = new Promise((resolve) => {
            client.answer = (_, respond) => respond('a', code, { sendAck: true, ackTimeout: 3 }, resolve)
          })
          await client.request({ do: 'ask', request: 'q', ack: code !== 0, timeout: 5, tag })
          assert.equal(await status, 0)
          const last = code === 0 ? success('a') : failed(5, 'a')
          assertOutcomes(await bench.outcomes(tag, 1), ...(code === 0 ? [] : [acked(0)]), last)
        }
        assert.deepEqual(client.order(), [
          ...['request', '<response', '<request', 'response', '<responseAck'],
          ...['request', '<response', '<request', 'requestAck', 'response', '<responseAck'],
        ])
      },
      'an answer is acknowledged under its stamp, before it is worked on': async (bench) => {
        const [raw, tag] = [await bench.raw(), bench.tag()]
        const { stamp } = await raw.asked('q', { timeout: 5, tag })
        raw.send({ type: 'response', sendAck: true, stamp, data: 'a', failureCode: 0 })
        const ack = await raw.expect('the acknowledgement', ({ type }) => type === 'responseAck')
        assert.deepEqual(ack, { type: 'responseAck', stamp })
        assertOutcomes(await bench.outcomes(tag, 1), success('a'))
      },
      'answers come in any order': async (bench) => {
        const raw = await bench.raw()
        const tags = [bench.tag(), bench.tag(), bench.tag()]
        const stamps = []
        for (const tag of tags) stamps.push((await raw.asked(tag, { timeout: 5, tag })).stamp)
        for (const at of [2, 0, 1]) {
          raw.send({ type: 'response', sendAck: false, stamp: stamps[at], data: at + 1, failureCode: 0 })
          assertOutcomes(await bench.outcomes(tags[at], 1), success(at + 1))
        }
      },
      'an answer that overtakes its acknowledgement counts': async (bench) => {
        const [raw, tag] = [await bench.raw(), bench.tag()]
        const { stamp } = await raw.asked('q', { ack: true, timeout: 5, tag })
        raw.send({ type: 'response', sendAck: false, stamp, data: 'a', failureCode: 0 })
        raw.send({ type: 'requestAck', stamp })
        await raw.usable()
        const found = await bench.outcomes(tag, 1)
        assertOutcomes(found.filter(({ kind }) => kind !== 'ack'), success('a'))
        assert.ok(found.every(({ kind, status }) => kind !== 'ack' || status === 0), JSON.stringify(found))
      },
      'only the first answer counts': async (bench) => {
        const [raw, tag] = [await bench.raw(), bench.tag()]
        const { stamp } = await raw.asked('q', { timeout: 5, tag })
        for (const data of ['first', 'second']) raw.send({ type: 'response', sendAck: false, stamp, data, failureCode: 0 })
        await raw.usable()
        assertOutcomes(await bench.outcomes(tag, 1), success('first'))
      },
      'nobody answers for another': async (bench) => {
        const [raw, other, tag] = [await bench.raw(), await bench.raw(), bench.tag()]
        const { stamp } = await raw.asked('q', { ack: true, timeout: 5, tag })
        other.send({ type: 'requestAck', stamp })
        other.send({ type: 'response', sendAck: false, stamp, data: 'forged', failureCode: 0 })
        await other.usable()
        raw.send({ type: 'response', sendAck: false, stamp, data: 'true', failureCode: 0 })
        assertOutcomes(await bench.outcomes(tag, 1), success('true'))
      },
      'an answer without data is refused, and the request runs into its time limit': async (bench) => {
        const raw = await bench.raw()
        for (const [at, member] of ['', ',"data":null'].entries()) {
          const tag = bench.tag()
          const { stamp } = await raw.asked(`q ${at}`, { timeout: 0.6, tag })
          raw.send(`{"type":"response","stamp":${JSON.stringify(stamp)}${member},"failureCode":0}`)
          assertOutcomes(await bench.outcomes(tag, 1), failed(2))
        }
        assert.equal(raw.heard('error').length, 2)
      },
      'no response in time is code 2': (bench) => silentAs(bench, { ack: false }, 2),
      'no response in time, but an acknowledgement, is code 2.1': (bench) => {
        return silentAs(bench, { ack: true, acknowledge: true }, 2.1)
      },
      'neither response nor acknowledgement in time is code 2.2': (bench) => silentAs(bench, { ack: true }, 2.2),
      'the end of the connection is code 1': (bench) => closedAs(bench, { ack: false }, 1),
      'the end of the connection after the acknowledgement is code 1.1': (bench) => {
        return closedAs(bench, { ack: true, acknowledge: true }, 1.1)
      },
      'the end of the connection before the acknowledgement is code 1.2': (bench) => closedAs(bench, { ack: true }, 1.2),
      'everything that runs ends with the connection': async (bench) => {
        const raw = await bench.raw()
        const tags = Array.from({ length: 4 }, () => bench.tag())
        await raw.asked('a', { timeout: 20, tag: tags[0] })
        await raw.asked('b', { ack: true, timeout: 20, tag: tags[1] })
        await raw.request({ do: 'send-note', note: 'n', ack: true, timeout: 20, tag: tags[2] })
        await raw.request({ do: 'with-ack', value: 1, timeout: 20, tag: tags[3] })
        raw.socket.close()
        const expected = [failed(1), failed(1.2), acked(1), acked(1)]
        for (const [at, outcome] of expected.entries()) assertOutcomes(await bench.outcomes(tags[at], 1), outcome)
      },
    },
  },
]
