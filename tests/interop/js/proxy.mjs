// An HTTP proxy for clients under test: CONNECT alone, with Basic authentication.
//
//     node proxy.mjs [--login USER:PASSWORD] [--tls DIRECTORY]
//
// Prints `listening on 127.0.0.1:PORT`, `tunnel to HOST:PORT` for each tunnel it opens and `refused` for each it does
// not, and runs until it is killed. Over TLS it has a certificate from that directory.

import { readFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ options: { login: { type: 'string' }, tls: { type: 'string' } } })
const wanted = values.login && `Basic ${Buffer.from(values.login).toString('base64')}`

const proxy = values.tls
  ? https.createServer({ cert: readFileSync(`${values.tls}/server.pem`), key: readFileSync(`${values.tls}/server.key`) })
  : http.createServer()

proxy.on('connect', (request, client, head) => {
  client.on('error', () => {}) // followed by `close`
  if (request.headers['proxy-authorization'] !== wanted) {
    console.log('refused')
    client.end('HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm="interop"\r\nContent-Length: 0\r\n\r\n')
    return
  }
  const { hostname, port } = new URL(`http://${request.url}`)
  const server = net.connect(Number(port || 80), hostname.replace(/^\[|\]$/g, ''))
  server.on('connect', () => {
    console.log(`tunnel to ${request.url}`)
    client.write('HTTP/1.1 200 Connection established\r\n\r\n')
    server.write(head)
    client.pipe(server).pipe(client)
  })
  server.on('error', () => client.destroy())
  server.on('close', () => client.destroy())
  client.on('close', () => server.destroy())
})

proxy.listen(0, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${proxy.address().port}`))
