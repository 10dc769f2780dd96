// Acknowledgements of requests and responses, and where they are on the wire.

import assert from 'node:assert/strict'
import { sleep } from '../wait.mjs'
import { acked, assertOutcomes, QUIET } from './bench.mjs'

export const groups = [
  {
    title: 'acknowledgements',
    checks: {
      'a request is acknowledged before its response': async (bench) => {
        const client = await bench.client()
        const acks = []
        assert.equal(await client.request({ do: 'echo', value: 1 }, { sendAck: true }, acks), 1)
        assert.deepEqual(acks, [0])
        assert.deepEqual(client.order(), ['request', '<requestAck', '<response'])
        const [ack, response] = client.heard()
        const { stamp } = client.log[0].message
        assert.deepEqual(ack, { type: 'requestAck', stamp })
        assert.equal(response.stamp, stamp)
      },
      'a request is acknowledged before it is worked on': async (bench) => {
        const client = await bench.client()
        const acks = []
        const running = client.request({ do: 'slow', ms: 800, value: 1 }, { sendAck: true }, acks)
        await sleep(400)
        assert.deepEqual(acks, [0])
        assert.deepEqual(client.heard('response'), [])
        await running
      },
      'a request that fails is acknowledged as well': async (bench) => {
        const client = await bench.client()
        for (const request of [{ do: 'fail', code: 9, message: 'no' }, { do: 'what' }, 'what']) {
          const acks = []
          await client.failure(request, { sendAck: true }, acks)
          assert.deepEqual(acks, [0])
        }
        assert.deepEqual(client.order(), Array(3).fill(['request', '<requestAck', '<response']).flat())
      },
      'a request without a response is acknowledged, and the failure says so': async (bench) => {
        const client = await bench.client()
        const acks = []
        const { code } = await client.failure({ do: 'never' }, { sendAck: true, requestTimeout: 0.4 }, acks)
        assert.deepEqual([code, acks], [2.1, [0]])
      },
      'nothing is acknowledged unasked': async (bench) => {
        const raw = await bench.raw()
        await raw.request({ do: 'echo', value: 1 })
        raw.send({ type: 'request', stamp: 'absent', data: { do: 'echo', value: 1 } })
        await raw.expect('the response', ({ stamp }) => stamp === 'absent')
        raw.send({ type: 'note', sendAck: false, stamp: 'n', data: 1 })
        await raw.usable()
        assert.deepEqual(raw.heard().map(({ type }) => type), ['response', 'response', 'response'])
      },
      'a close acknowledges first': async (bench) => {
        const client = await bench.client()
        const acks = []
        const { code } = await client.failure({ do: 'close', reason: 'bye' }, { sendAck: true }, acks)
        assert.deepEqual([code, acks], [1.1, [0]])
        assert.equal((await client.closed).reason, 'bye')
      },
      'a response is acknowledged to the endpoint': async (bench) => {
        const [client, tag] = [await bench.client(), bench.tag()]
        assert.equal(await client.request({ do: 'with-ack', value: 'v', tag, timeout: 5 }), 'v')
        assertOutcomes(await bench.outcomes(tag, 1), acked(0))
        assert.deepEqual(client.order(), ['request', '<response', 'responseAck'])
        assert.equal(client.heard('response')[0].sendAck, true)
      },
      'both sides acknowledge': async (bench) => {
        const [client, tag] = [await bench.client(), bench.tag()]
        const acks = []
        const value = await client.request({ do: 'with-ack', value: { a: 1 }, tag, timeout: 5 }, { sendAck: true }, acks)
        assert.deepEqual([value, acks], [{ a: 1 }, [0]])
        assertOutcomes(await bench.outcomes(tag, 1), acked(0))
        assert.deepEqual(client.order(), ['request', '<requestAck', '<response', 'responseAck'])
      },
      'an acknowledgement of a response that does not come is status 2': async (bench) => {
        const [raw, tag] = [await bench.raw(), bench.tag()]
        await raw.request({ do: 'with-ack', value: 1, tag, timeout: 0.5 }, 's')
        assert.deepEqual(await bench.witness.request({ do: 'outcomes', tag }), [])
        assertOutcomes(await bench.outcomes(tag, 1), acked(2))
        // Too late: for nobody.
        raw.send({ type: 'responseAck', stamp: 's' })
        await raw.usable()
        assertOutcomes(await bench.outcomes(tag, 1), acked(2))
      },
      'an acknowledgement of a response that cannot come any more is status 1': async (bench) => {
        for (const end of [(raw) => raw.socket.close(), (raw) => raw.terminate()]) {
          const [raw, tag] = [await bench.raw(), bench.tag()]
          await raw.request({ do: 'with-ack', value: 1, tag, timeout: 20 })
          end(raw)
          assertOutcomes(await bench.outcomes(tag, 1), acked(1))
        }
      },
      'an acknowledgement that comes late but in time is status 0': async (bench) => {
        const [raw, tag] = [await bench.raw(), bench.tag()]
        await raw.request({ do: 'with-ack', value: 1, tag, timeout: 3 }, 's')
        await sleep(QUIET)
        raw.send({ type: 'responseAck', stamp: 's' })
        assertOutcomes(await bench.outcomes(tag, 1), acked(0))
        // Twice is once.
        raw.send({ type: 'responseAck', stamp: 's' })
        await raw.usable()
        assertOutcomes(await bench.outcomes(tag, 1), acked(0))
      },
      'one connection does not acknowledge for another': async (bench) => {
        const [raw, other, tag] = [await bench.raw(), await bench.raw(), bench.tag()]
        await raw.request({ do: 'with-ack', value: 1, tag, timeout: 0.6 }, 'mine')
        other.send({ type: 'responseAck', stamp: 'mine' })
        await other.usable()
        assertOutcomes(await bench.outcomes(tag, 1), acked(2))
      },
    },
  },
]
