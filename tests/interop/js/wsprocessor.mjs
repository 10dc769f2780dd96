// Checks an endpoint that speaks the wire format of npm `wsprocessor`, with the real package as its client, and with
// hand-written messages for what that package never sends.
//
//     node wsprocessor.mjs PROGRAM [--only TEXT]       the endpoint: PROGRAM --addr 127.0.0.1:0 [--heartbeat-…]
//     node wsprocessor.mjs --reference [--only TEXT]   the one of this folder, upon the real package
//
// Every group of checks gets an endpoint of its own, started with the group's flags; some groups run at once.
// One line per check, `ok - name` or `not ok - name: why`; the last line is `N passed, M failed`, and tells the
// exit code.

import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { within } from './wait.mjs'
import { Bench } from './wsprocessor/bench.mjs'

const TOPICS = ['requests', 'acknowledgements', 'notes', 'asking', 'limits', 'heartbeats', 'malformed']
const PATIENCE = 20_000
/** For everything: checks that have not begun by then have failed. */
const END = Date.now() + 75_000
const AT_ONCE = 6

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { reference: { type: 'boolean', default: false }, only: { type: 'string', default: '' } },
})
if (positionals.length !== (values.reference ? 0 : 1)) {
  console.error('usage: wsprocessor.mjs PROGRAM|--reference [--only TEXT]')
  process.exit(2)
}
const reference = fileURLToPath(new URL('wsprocessor_reference.mjs', import.meta.url))
const command = values.reference ? [process.execPath, reference] : positionals

// A check that fails leaves requests behind that nobody waits for any more.
process.on('unhandledRejection', () => {})

async function runCheck(check, bench) {
  let problem
  try {
    await within(PATIENCE, 'check', check(bench))
  } catch (error) {
    problem = error
  }
  try {
    await within(PATIENCE / 2, 'tidying', bench.tidy())
  } catch (error) {
    problem ??= error
  }
  return problem
}

/** Runs the checks of a group on an endpoint of its own: `[name, error or undefined]` for each. */
async function runGroup({ title, flags = [], checks }) {
  const all = Object.entries(checks).map(([name, check]) => [`${title}: ${name}`, check])
  const wanted = all.filter(([name]) => name.includes(values.only))
  if (wanted.length === 0) return []
  let bench
  const results = []
  try {
    for (const [name, check] of wanted) {
      if (Date.now() > END) throw new Error('no time is left for it')
      bench ??= await Bench.start(command, flags)
      const problem = await runCheck(check, bench)
      results.push([name, problem])
      if (!problem) continue
      // The next ones shall not suffer from what is left of this one.
      await bench.stop()
      bench = undefined
    }
  } catch (error) {
    for (const [name] of wanted.slice(results.length)) results.push([name, error])
  }
  await bench?.stop()
  return results
}

const modules = await Promise.all(TOPICS.map((topic) => import(`./wsprocessor/${topic}.mjs`)))
const waiting = modules.flatMap(({ groups }) => groups).map((group) => ({ group }))
for (const entry of waiting) entry.results = new Promise((resolve) => (entry.resolve = resolve))

// Those that wait for long are begun first.
const queue = [...waiting].sort((a, b) => Number(b.group.long ?? 0) - Number(a.group.long ?? 0)).values()
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
    console.log(`${error ? 'not ok' : 'ok'} - ${name}${why}`)
  }
}
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)
