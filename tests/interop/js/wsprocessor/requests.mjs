// What a request can want, as the real package asks it.

import assert from 'node:assert/strict'
import { sleep, within } from '../wait.mjs'
import { QUIET, SOON } from './bench.mjs'

const VALUES = [
  0, -1, 1.5, 1e21, '', 'text', false, true, [], {}, [null], { a: null }, [[1, [2, { b: [] }]], 'ä€😀\u2028"\\\n\u0001'],
  { toString: 1, constructor: 2, do: 'fail' }, 'x'.repeat(100_000), Array.from({ length: 5000 }, (_, at) => ({ at })),
]

export const groups = [
  {
    title: 'requests',
    checks: {
      'no subprotocol is used': async (bench) => {
        const client = await bench.client()
        assert.equal(client.socket.protocol, '')
      },
      'an echo is what was sent': async (bench) => {
        const client = await bench.client()
        for (const value of VALUES) assert.deepEqual(await client.request({ do: 'echo', value }), value)
      },
      'a response has the stamp of its request, and failure code 0': async (bench) => {
        const raw = await bench.raw()
        assert.deepEqual(await raw.request({ do: 'echo', value: 'v' }, 's1'), {
          type: 'response', sendAck: false, stamp: 's1', data: 'v', failureCode: 0,
        })
      },
      'a slow response comes after its time': async (bench) => {
        const client = await bench.client()
        const start = Date.now()
        assert.deepEqual(await client.request({ do: 'slow', ms: 400, value: ['late'] }), ['late'])
        const took = Date.now() - start
        assert.ok(took >= 390 && took < 2500, `${took} ms`)
      },
      'a slow request does not hold up others, and is overtaken': async (bench) => {
        const client = await bench.client()
        const order = []
        const ask = (ms) => client.request({ do: 'slow', ms, value: ms }).then((value) => order.push(value))
        const fast = client.request({ do: 'echo', value: 'fast' }).then((value) => order.push(value))
        await Promise.all([ask(900), ask(600), ask(300), fast])
        assert.deepEqual(order, ['fast', 300, 600, 900])
      },
      'a ping is answered while a request is worked on': async (bench) => {
        const raw = await bench.raw()
        raw.send({ type: 'request', sendAck: false, stamp: 'slow', data: { do: 'slow', ms: 700, value: 1 } })
        raw.send({ type: 'ping', data: 'now' })
        await raw.expect('the response', ({ stamp }) => stamp === 'slow')
        const { at } = raw.log.find(({ message }) => message.stamp === 'slow' && message.type === 'response')
        assert.ok(raw.pongs[0].at <= at - 200, 'the pong waited')
      },
      'failures come with their code and text': async (bench) => {
        const client = await bench.client()
        for (const code of [1, 7, 400, 1.5, -3, 'broken']) {
          const failure = await client.failure({ do: 'fail', code, message: `no – ${code}` })
          assert.deepEqual([failure.code, failure.text], [code, `no – ${code}`])
        }
      },
      'a failure is a response with that code and the text as data': async (bench) => {
        const raw = await bench.raw()
        assert.deepEqual(await raw.request({ do: 'fail', code: 17, message: 'no' }, 's'), {
          type: 'response', sendAck: false, stamp: 's', data: 'no', failureCode: 17,
        })
      },
      'anything else fails with 400 and a text': async (bench) => {
        const client = await bench.client()
        const odd = ['', 'Echo', 'toString', 'constructor', '__proto__', '__defineGetter__', 5, null, true, [], {}]
        const requests = [...odd.map((it) => ({ do: it })), {}, { value: 1 }, [], ['echo'], 'echo', '', 0, 5, true, false]
        for (const request of requests) {
          const { code, text } = await client.failure(request)
          assert.equal(code, 400, JSON.stringify(request))
          assert.equal(typeof text, 'string', JSON.stringify(request))
        }
      },
      'never is never answered': async (bench) => {
        const client = await bench.client()
        assert.equal((await client.failure({ do: 'never' }, { requestTimeout: 0.4 })).code, 2)
        assert.deepEqual(client.heard(), [])
        assert.equal(await client.request({ do: 'echo', value: 'still here' }), 'still here')
      },
      'many requests of many clients each get their own response': async (bench) => {
        const clients = await Promise.all(Array.from({ length: 5 }, () => bench.client()))
        await Promise.all(clients.map(async (client, who) => {
          const values = Array.from({ length: 100 }, (_, at) => `${who} ${at}`)
          const asked = values.map((value, at) => client.request(
            at % 3 === 0 ? { do: 'slow', ms: at, value } : { do: 'echo', value },
            { sendAck: at % 2 === 0 },
          ))
          assert.deepEqual(await Promise.all(asked), values)
        }))
      },
      'the open connections are counted': async (bench) => {
        const client = await bench.client()
        const other = await bench.raw()
        assert.equal(await client.request({ do: 'connections' }), 3)
        other.socket.close()
        await other.closed
        for (let tries = 0; (await client.request({ do: 'connections' })) !== 2; tries += 1) {
          assert.ok(tries < 100, 'it still counts the one that has gone')
          await sleep(20)
        }
      },
      'close ends this connection with 1000 and the reason': async (bench) => {
        for (const reason of ['good bye', '', 'später']) {
          const client = await bench.client()
          const other = await bench.client()
          const failure = await client.failure({ do: 'close', reason })
          assert.equal(failure.code, 1)
          const { code, reason: said } = await within(SOON, 'the end', client.closed)
          assert.deepEqual([code, said], [1000, reason])
          assert.deepEqual(client.heard(), [])
          assert.equal(await other.request({ do: 'echo', value: 'open' }), 'open')
        }
      },
      'close fails what is running at the client': async (bench) => {
        const client = await bench.client()
        const acks = []
        const running = client.failure({ do: 'never' }, { sendAck: true }, acks)
        const other = client.failure({ do: 'slow', ms: 2000, value: 1 })
        client.failure({ do: 'close', reason: '' })
        assert.equal((await running).code, 1.1)
        assert.equal((await other).code, 1)
        assert.deepEqual(acks, [0])
      },
      'stamps come back as they were': async (bench) => {
        const raw = await bench.raw()
        const stamps = ['toString', 'constructor', '__proto__', '__defineGetter__', 'hasOwnProperty', '0', ' ', 'ä€😀"\\\n']
        for (const stamp of [...stamps, 'x'.repeat(1000), 12345, -7]) {
          const { data } = await raw.request({ do: 'echo', value: String(stamp) }, stamp)
          assert.equal(data, String(stamp))
        }
      },
      'members may come in any order, with others, with space and escapes, and without sendAck': async (bench) => {
        const raw = await bench.raw()
        const texts = [
          '{"data":{"value":"a","do":"echo"},"x":[{"type":"note"}],"stamp":"1","type":"request","sendAck":false}',
          ' {\n "type" : "request" ,\t"stamp" : "2" , "data" : { "do" : "echo", "value" : "b" } } \r\n',
          '{"\\u0074ype":"re\\u0071uest","st\\u0061mp":"3","data":{"do":"echo","value":"c"},"failureCode":7}',
          '{"type":"note","type":"request","stamp":"x","stamp":"4","data":5,"data":{"do":"echo","value":"d"}}',
        ]
        for (const [at, text] of texts.entries()) {
          raw.send(text)
          const { data } = await raw.expect(text, ({ stamp }) => stamp === String(at + 1))
          assert.equal(data, 'abcd'[at])
        }
      },
      'a message in a binary frame is taken as text': async (bench) => {
        const raw = await bench.raw()
        raw.send({ type: 'request', sendAck: false, stamp: 's', data: { do: 'echo', value: 'b' } }, true)
        assert.equal((await raw.expect('the response', ({ stamp }) => stamp === 's')).data, 'b')
      },
      'clients that vanish leave the others alone': async (bench) => {
        const stays = await bench.client()
        for (let round = 0; round < 5; round += 1) {
          const client = await bench.client()
          client.request({ do: 'slow', ms: 100, value: 1 }).catch(() => {})
          await client.request({ do: 'echo', value: 1 })
          client.terminate()
        }
        await sleep(QUIET)
        assert.equal(await stays.request({ do: 'echo', value: 'here' }), 'here')
      },
    },
  },
]
