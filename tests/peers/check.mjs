// Runs each peer in both roles, and prints one table.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { within } from '../interop/js/wait.mjs'

const { EXAMPLES, PROGRAMS, TREE, LIBRARIES } = process.env
const here = new URL('.', import.meta.url).pathname
const CHECKS = ['sizes', '1MiB', '+1', '5MiB', 'ping', 'theirs', 'ours', 'deflate', 'split']

const python = `${here}python/.venv/bin/python`
const bin = (name) => `${here}js/node_modules/.bin/${name}`
const module = (name) => ({
  version: () => execFileSync(python, ['-c', `import importlib.metadata as it; print(it.version("${name}"))`]).toString().trim(),
})
const npm = (name) => ({
  version: () => JSON.parse(readFileSync(`${here}js/node_modules/${name}/package.json`, 'utf8')).version,
})
const debian = (name) => ({
  version: () => {
    // What was installed before is not unpacked.
    const folder = [`${TREE}/usr/share/doc`, '/usr/share/doc'].flatMap((path) =>
      readdirSync(path).filter((it) => name.test(it)).map((it) => `${path}/${it}`),
    )[0]
    return /\(([^)]+)\)/.exec(gunzipSync(readFileSync(`${folder}/changelog.Debian.gz`)))[1]
  },
})
const inPython = (name, roles, none = {}) => ({ name, ...module(name.split('/')[0]), roles, none, command: (role) => [python, `${here}python/${role}.py`, name] })
const inNode = (name, roles) => ({ name, ...npm(name), roles, none: {}, command: (role) => ['node', `${here}js/${role}.mjs`, name] })
const built = (name, program, of) => ({ name, ...debian(of), roles: ['client', 'server'], none: {}, command: (role) => [`${PROGRAMS}/${program}`, role] })

/** `none`: what a library cannot do in a role. Anything else must pass. */
const PEERS = [
  inPython('websockets', ['client', 'server']),
  inPython('aiohttp', ['client', 'server']),
  inPython('tornado', ['client', 'server']),
  inPython('picows', ['client', 'server'], { client: ['deflate'], server: ['deflate'] }),
  inPython('autobahn', ['client', 'server']),
  inPython('uvicorn/websockets', ['server']),
  inPython('uvicorn/wsproto', ['server']),
  inPython('hypercorn', ['server']),
  inPython('granian', ['server'], { server: ['deflate'] }),
  inNode('ws', ['client', 'server']),
  inNode('undici', ['client']),
  {
    name: 'deno',
    ...npm('deno'),
    roles: ['client', 'server'],
    none: { client: ['ping', 'deflate'], server: ['deflate'] },
    // Not by its launcher in .bin: that would leave the program running when it is killed.
    command: (role) => [`${here}js/node_modules/deno/deno`, 'run', '--no-lock', '-A', `${here}js/${role}.mjs`, 'deno'],
  },
  { name: 'bun', ...npm('bun'), roles: ['client', 'server'], none: {}, command: (role) => [bin('bun'), `${here}js/${role}.mjs`, 'bun'] },
  built('Boost.Beast', 'beast', /^libboost[\d.]+-dev$/),
  // It ends the process (an assertion) when it compresses an empty message.
  { ...built('libwebsockets', 'libwebsockets', /^libwebsockets-dev$/), flags: ['--not-empty'] },
  built('gorilla', 'gorilla', /^golang-github-gorilla-websocket-dev$/),
]

const children = new Set()
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')))

function start(command) {
  const env = { ...process.env, LD_LIBRARY_PATH: LIBRARIES, DENO_NO_UPDATE_CHECK: '1', NO_COLOR: '1' }
  const child = spawn(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env })
  children.add(child)
  child.on('exit', () => children.delete(child))
  child.on('error', (error) => (child.said.out += `failed to start: ${error.message}\n`))
  child.said = { out: '', err: '' }
  child.stdout.on('data', (data) => (child.said.out += data))
  child.stderr.on('data', (data) => (child.said.err += data))
  return child
}

/** The URL of a server, once it listens. */
async function url(child) {
  const found = () => /^listening on (ws:.*)$/m.exec(child.said.out)?.[1]
  while (found() === undefined) await within(20_000, 'a server that listens', once(child.stdout, 'data'))
  return found()
}

/** What a judge has said of each check. */
async function judged(command, none) {
  const child = start(command)
  const [code] = await within(120_000, command.join(' '), once(child, 'close'))
  const cells = {}
  for (const line of child.said.out.split('\n')) {
    const [, verdict, name, note] = /^(ok|none|failed) ([^ :]+):? ?(.*)$/.exec(line) ?? []
    if (name !== undefined) cells[name] = { verdict, note }
  }
  const errors = []
  for (const name of CHECKS) {
    const expected = none.includes(name) ? 'none' : 'ok'
    const { verdict, note } = cells[name] ?? { verdict: none.includes(name) ? 'none' : 'missing' }
    if (verdict !== expected) errors.push(`${name}: ${verdict} ${note ?? ''}`)
    cells[name] = verdict === 'ok' ? note || 'ok' : verdict === 'none' ? '-' : 'FAILED'
  }
  if (code !== 0) errors.push(`it ended with ${code}`)
  if (errors.length > 0) errors.push(child.said.err.slice(-2000))
  return { cells, errors }
}

const servers = ['', '--max-message 5242880', '--deflate'].map((flags) =>
  start([`${EXAMPLES}/echo_server`, '--commands', ...flags.split(' ').filter(Boolean)]),
)
const urls = await Promise.all(servers.map(url))

async function run(peer, role) {
  const none = peer.none[role] ?? []
  if (role === 'client') return await judged([...peer.command('client'), ...urls], none)
  const server = start(peer.command('server'))
  try {
    const flags = [...none.flatMap((name) => ['--without', name]), ...(peer.flags ?? [])]
    return await judged([`${EXAMPLES}/peer_client`, await url(server), ...flags], none)
  } catch (error) {
    throw new Error(`${error.message}\n${server.said.out}${server.said.err.slice(-2000)}`)
  } finally {
    server.kill('SIGKILL')
  }
}

const jobs = PEERS.flatMap((peer) => peer.roles.map((role) => ({ peer, role })))
const rows = new Array(jobs.length)
let [next, passed, failed] = [0, 0, 0]
async function work() {
  while (next < jobs.length) {
    const index = next++
    const { peer, role } = jobs[index]
    let result
    try {
      result = await run(peer, role)
    } catch (error) {
      result = { cells: {}, errors: [error.message] }
    }
    for (const error of result.errors) console.log(`not ok - ${peer.name} as ${role}: ${error}`)
    if (result.errors.length > 0) failed += 1
    else passed += 1
    rows[index] = [peer.name, peer.version(), role, ...CHECKS.map((name) => result.cells[name] ?? 'FAILED')]
  }
}
await Promise.all([work(), work(), work()])

console.log(`
The role is the peer's. sizes: echoes of 0 to 65,536 bytes, text and binary; +1: 1 MiB and one byte; 5MiB: with a raised limit; theirs:
the peer closes; ours: our side closes, with what the peer answered; deflate: compression, with what was agreed on; split: text split
inside characters; -: the library cannot do it.
`)
const table = [['peer', 'version', 'role', ...CHECKS], ...rows]
const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)))
for (const row of table) console.log(row.map((cell, column) => cell.padEnd(widths[column])).join('  ').trimEnd())
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed > 0 || passed === 0 ? 1 : 0)
