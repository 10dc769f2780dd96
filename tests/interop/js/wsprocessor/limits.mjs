// The time limits that hold where none is named.

import assert from 'node:assert/strict'
import { acked, assertOutcomes, failed } from './bench.mjs'

/** What happens under the tag, and that it took about this long. */
async function after(bench, tag, seconds, expected, start) {
  const found = await bench.outcomes(tag, 1, (seconds + 5) * 1000)
  const took = (Date.now() - start) / 1000
  assert.ok(took >= seconds - 0.1 && took < seconds + 2, `${took} s`)
  assertOutcomes(found, expected)
}

export const groups = [
  {
    title: 'limits',
    long: 10,
    checks: {
      'a request waits 10 s, an acknowledgement of a note or response 5 s': async (bench) => {
        const raw = await bench.raw()
        const [asking, noting, answering] = [bench.tag(), bench.tag(), bench.tag()]
        const start = Date.now()
        await raw.asked('q', { tag: asking })
        await raw.request({ do: 'send-note', note: 'n', ack: true, tag: noting })
        await raw.request({ do: 'with-ack', value: 1, tag: answering })
        await Promise.all([
          after(bench, noting, 5, acked(2), start),
          after(bench, answering, 5, acked(2), start),
          after(bench, asking, 10, failed(2), start),
        ])
      },
    },
  },
]
