// The proxies: how each is started, and what it can do.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { until } from '../interop/js/wait.mjs'

const { TREE, LIBRARIES, FOLDER } = process.env
const here = new URL('.', import.meta.url).pathname

/**
 * `command`: starts it with a configuration; `version`: prints its version; `http2`: what HTTP/2 in front of it carries,
 * `streams` (pages and events) or `websockets` too (RFC 8441).
 */
export const PROXIES = {
  nginx: {
    configuration: 'nginx.conf',
    command: (file) => ['usr/sbin/nginx', '-c', file, '-e', 'stderr'],
    version: ['usr/sbin/nginx', '-v'],
    http2: 'streams',
  },
  HAProxy: {
    configuration: 'haproxy.cfg',
    command: (file) => ['usr/sbin/haproxy', '-db', '-f', file],
    version: ['usr/sbin/haproxy', '-v'],
    http2: 'websockets',
  },
  Apache: {
    configuration: 'apache.conf',
    command: (file) => ['usr/sbin/apache2', '-DFOREGROUND', '-f', file],
    version: ['usr/sbin/apache2', '-v'],
    http2: 'websockets',
  },
  Caddy: {
    configuration: 'Caddyfile',
    command: (file) => ['usr/bin/caddy', 'run', '--config', file, '--adapter', 'caddyfile'],
    version: ['usr/bin/caddy', 'version'],
    http2: 'streams',
  },
}

/** A started proxy: its ports `plain` and `tls`, and `stop`. */
export async function start(name, server) {
  const proxy = PROXIES[name]
  const [plain, tls] = [await freePort(), await freePort()]
  const values = {
    dir: FOLDER,
    server,
    plain,
    tls,
    modules: `${TREE}/usr/lib/apache2/modules`,
    // Apache does not serve as root.
    user: process.getuid() === 0 ? 'User nobody\nGroup nogroup' : '',
  }
  const text = readFileSync(here + proxy.configuration, 'utf8').replace(/@(\w+)@/g, (_, name) => values[name])
  const file = `${FOLDER}/${proxy.configuration}`
  writeFileSync(file, text)
  const [program, ...flags] = proxy.command(file)
  const child = run(program, flags)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data))
  const ended = once(child, 'exit')
  try {
    for (const port of [plain, tls]) {
      await until(10_000, `${name} listens`, () => {
        if (child.exitCode !== null) throw new Error(`${name} ended`)
        return listens(port)
      })
    }
  } catch (error) {
    child.kill()
    throw new Error(`${error.message}\n${said}`)
  }
  const stop = async () => {
    child.kill()
    await ended
  }
  return { name, plain, tls, http2: proxy.http2, stop, said: () => said }
}

export async function version(name) {
  const [program, ...flags] = PROXIES[name].version
  const child = run(program, flags)
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (said += data))
  await once(child, 'close')
  return /\d+\.\d+\.\d+/.exec(said)?.[0] ?? 'unknown'
}

function run(program, flags) {
  const env = { ...process.env, LD_LIBRARY_PATH: LIBRARIES, HOME: FOLDER }
  return spawn(`${TREE}/${program}`, flags, { stdio: ['ignore', 'pipe', 'pipe'], env })
}

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(true) || socket.destroy())
    socket.on('error', () => resolve(false))
  })
}
