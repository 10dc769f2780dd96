// The message formats: each packs `[type, payload, stamp]` into what one WebSocket message carries
// (a string for text frames, a Buffer for binary ones) and takes it apart again. What is absent is null.
// `pack` adds flags that are not 0, and `flags` reads them.

import { fileURLToPath } from 'node:url'
import { Encoder } from 'cbor-x'
import protobuf from 'protobufjs'

export const TYPES = Object.freeze({
  hi: '~wse:hi',
  challenge: '~wse:challenge',
  session: '~wse:session',
  welcome: '~wse:welcome',
  seen: '~wse:seen',
  response: '~wse:response',
  fault: '~wse:response-err',
  receipt: '~wse:receipt',
})

const UNCOUNTED = new Set([
  ...[TYPES.hi, TYPES.challenge, TYPES.session, TYPES.welcome, TYPES.seen, TYPES.receipt],
  ...['~wse:ping', '~wse:pong', '~wse:complaint', '~wse:drain', '~wse:expires', '~wse:renew', '~wse:renewed'],
])

/** Whether both sides count messages of this type. */
export const isCounted = (type) => !UNCOUNTED.has(type)

/** In the greeting: the client gives receipts. Of a message: it wants one. */
export const RECEIPT = 1
/** It is a message, although it has a stamp. */
export const NOTE = 2

/** Missing and undefined elements become null, whatever follows the third is dropped. */
function triple(message) {
  if (!Array.isArray(message)) throw new TypeError('a message is an array')
  const [type = null, payload = null, stamp = null] = message
  return [type, payload, stamp]
}

const flagged = (message, flags) => (flags ? [...triple(message), flags] : triple(message))
const fourth = (message) => message[3] ?? 0

const json = {
  name: 'wse-default-json',
  binary: false,
  pack: (message, flags) => JSON.stringify(flagged(message, flags)),
  unpack: (data) => triple(JSON.parse(data.toString())),
  flags: (data) => fourth(JSON.parse(data.toString())),
}

const PREFIX = 'CUSTOM:'

const custom = {
  name: 'wse-custom-prefix',
  binary: false,
  pack: (message, flags) => PREFIX + json.pack(message, flags),
  flags: (data) => json.flags(data.toString().slice(PREFIX.length)),
  unpack(data) {
    const text = data.toString()
    if (!text.startsWith(PREFIX)) throw new TypeError(`a message starts with ${PREFIX}`)
    return json.unpack(text.slice(PREFIX.length))
  },
}

// Without records and with sized maps the output is plain RFC 8949 that any decoder reads.
const item = new Encoder({ useRecords: false, variableMapSize: true, tagUint8Array: false })

// cbor-x reads every 64-bit integer as a BigInt; those that a number holds exactly become numbers.
function plain(value) {
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]))
}

const cbor = {
  name: 'wse-cbor',
  binary: true,
  pack: (message, flags) => Buffer.from(item.encode(flagged(message, flags))),
  unpack: (data) => triple(plain(item.decode(data))),
  flags: (data) => fourth(item.decode(data)),
}

const root = new protobuf.Root()
root.loadSync(fileURLToPath(new URL('../wse-interop.proto', import.meta.url)))
const [Envelope, Hi, Fault] = ['Envelope', 'Hi', 'Fault'].map((name) => root.lookupType(`wse.interop.${name}`))
const Value = root.lookupType('google.protobuf.Value')

const encode = (type, fields) => Buffer.from(type.encode(type.create(fields)).finish())

function toValue(plain) {
  if (plain === null || plain === undefined) return { nullValue: 0 }
  if (typeof plain === 'number') return { numberValue: plain }
  if (typeof plain === 'string') return { stringValue: plain }
  if (typeof plain === 'boolean') return { boolValue: plain }
  if (Array.isArray(plain)) return { listValue: { values: plain.map(toValue) } }
  if (Object.getPrototypeOf(plain) !== Object.prototype) throw new TypeError('google.protobuf.Value cannot hold this')
  const members = Object.entries(plain).filter(([, member]) => member !== undefined)
  return { structValue: { fields: Object.fromEntries(members.map(([key, member]) => [key, toValue(member)])) } }
}

function fromValue(value) {
  switch (value.kind) {
    case 'structValue': {
      const members = Object.entries(value.structValue.fields)
      return Object.fromEntries(members.map(([key, member]) => [key, fromValue(member)]))
    }
    case 'listValue':
      return value.listValue.values.map(fromValue)
    case 'numberValue':
    case 'stringValue':
    case 'boolValue':
      return value[value.kind]
    default:
      return null
  }
}

const packValue = (plain) => (plain === null || plain === undefined ? Buffer.alloc(0) : encode(Value, toValue(plain)))
const unpackValue = (bytes) => (bytes.length === 0 ? null : fromValue(Value.decode(bytes)))

function packBody(type, payload) {
  if (payload === null) return Buffer.alloc(0)
  if (type === TYPES.hi) {
    const { identity, meta, resume } = payload
    return encode(Hi, { identity: packValue(identity), meta: packValue(meta), resume: packValue(resume) })
  }
  if (type === TYPES.fault) {
    const { code = '', message = '', details } = payload
    return encode(Fault, { code, message: message ?? '', details: packValue(details) })
  }
  return packValue(payload)
}

function unpackBody(type, bytes) {
  if (bytes.length === 0) return null
  if (type === TYPES.hi) {
    const { identity, meta } = Hi.decode(bytes)
    return { identity: unpackValue(identity), meta: unpackValue(meta) }
  }
  if (type === TYPES.fault) {
    const { code, message, details } = Fault.decode(bytes)
    return { code, ...(message && { message }), ...(details.length > 0 && { details: unpackValue(details) }) }
  }
  return unpackValue(bytes)
}

const protobufCodec = {
  name: 'wse-protobuf',
  binary: true,
  pack(message, flags = 0) {
    const [type, payload, stamp] = triple(message)
    return encode(Envelope, { type: type ?? '', payload: packBody(type, payload), stamp: stamp ?? '', flags })
  },
  flags: (data) => Envelope.decode(data).flags,
  unpack(data) {
    const { type, payload, stamp } = Envelope.decode(data)
    return [type || null, unpackBody(type, payload), stamp || null]
  },
}

/** By the name that `--protocol` takes. */
export const CODECS = Object.freeze({ json, cbor, protobuf: protobufCodec, custom })

export function codecNamed(name) {
  const codec = Object.hasOwn(CODECS, name) ? CODECS[name] : undefined
  if (!codec) throw new Error(`unknown protocol ${name}: one of ${Object.keys(CODECS).join(', ')}`)
  return codec
}
