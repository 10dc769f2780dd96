// Checks an interop server from outside, as a JavaScript client sees it.
//
//     node client_suite.mjs --server PATH --protocol json|cbor|protobuf|custom [--only TEXT] [--tls DIRECTORY]
//
// With --tls the server gets its certificate there, and NODE_EXTRA_CA_CERTS must name its authority.
// Every group of checks gets a server of its own, started with the group's flags; some groups run at once.
// One line per check,
// `ok - name` or `not ok - name: why`; the last line is `N passed, M failed`, and tells the exit code.

import { parseArgs } from 'node:util'
import { Bench, Server } from './bench.mjs'
import { codecNamed } from './codecs.mjs'
import { within } from './wait.mjs'

const TOPICS = [
  'upgrade',
  'http2',
  'auth',
  'challenge',
  'devices',
  'rooms',
  'receipts',
  'resume',
  'resume_refused',
  'channel',
  'calls',
  'both_ways',
  'lifecycle',
  'wire',
  'frames',
  'malformed',
]
const PATIENCE = 15_000
const AT_ONCE = 4

const { values } = parseArgs({
  options: {
    server: { type: 'string' },
    protocol: { type: 'string', default: 'json' },
    only: { type: 'string', default: '' },
    tls: { type: 'string' },
  },
})
const codec = codecNamed(values.protocol)
if (!values.server) throw new Error('--server PATH is missing')

// A check that fails leaves calls behind that nobody waits for any more.
process.on('unhandledRejection', () => {})

/** Runs the checks of a group on a server of its own; `[name, error or undefined]` for each. */
async function runGroup({ title, flags = [], solve, checks }) {
  const wanted = Object.entries(checks)
    .map(([name, check]) => [`${title}: ${name}`, check])
    .filter(([name]) => name.includes(values.only))
  if (wanted.length === 0) return []
  let server
  let bench
  try {
    const tls = values.tls ? ['--tls', values.tls] : []
    server = await Server.start(values.server, ['--addr', '127.0.0.1:0', '--protocol', values.protocol, ...tls, ...flags])
    bench = new Bench(server, values.protocol, codec, values.server)
    if (!flags.includes('--path')) await bench.watch(solve)
  } catch (error) {
    await server?.stop()
    return wanted.map(([name]) => [name, error])
  }
  const results = []
  for (const [name, check] of wanted) results.push([name, await runCheck(check, bench)])
  bench.observer?.vanish()
  await server.stop()
  return results
}

async function runCheck(check, bench) {
  let problem
  try {
    await within(PATIENCE, 'check', check(bench))
  } catch (error) {
    problem = error
  }
  try {
    bench.tidy()
  } catch (error) {
    problem ??= error
  }
  return problem
}

const modules = await Promise.all(TOPICS.map((topic) => import(`./checks/${topic}.mjs`)))
const waiting = modules
  .flatMap(({ groups }) => groups(codec, values.protocol))
  // Behind another HTTP server TLS is that one's affair.
  .filter(({ flags = [] }) => !values.tls || !flags.includes('--path'))
  .map((group) => ({ group }))
for (const entry of waiting) entry.results = new Promise((resolve) => (entry.resolve = resolve))

const queue = waiting.values()
for (let worker = 0; worker < AT_ONCE; worker += 1) {
  ;(async () => {
    for (const { group, resolve } of queue) resolve(await runGroup(group))
  })()
}

let passed = 0
let failed = 0
for (const { results } of waiting) {
  for (const [name, error] of await results) {
    if (error) failed += 1
    else passed += 1
    const why = error ? `: ${String(error.message ?? error).replaceAll(/\s*\n\s*/g, ' ')}` : ''
    console.log(`${error ? 'not ok' : 'ok'} - ${values.protocol}: ${name}${why}`)
  }
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)
