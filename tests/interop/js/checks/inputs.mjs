// Malformed messages by protocol, for the rows of the table "Malformed input".
//
// undecodable   bytes that are not in the format at all
// noArray       in the format, but no array (or an empty one)
// noType        an array without type and stamp
// stampOnly     the stamp `s` without a type
// badPayload    a readable envelope around an unreadable payload
// barePayloads  greetings without identity, written in ways the packer would not
// otherKind     `count` without payload, or anything, to be sent in a frame of the other kind
// oddTypes, oddStamps, longer, nested    as their checks say

const DEEP = 100_000

function jsonInputs(prefix) {
  const all = (...texts) => texts.map((text) => prefix + text)
  const deep = (depth) => [`${'['.repeat(depth)}${']'.repeat(depth)}`, `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`]
  return {
    undecodable: [
      ...all(
        'x',
        '',
        ' ',
        '[',
        '["count"',
        '["count",{"count":1},null]x',
        '["count",]',
        '[count]',
        "['count']",
        '["count\n"]',
        '["\\ud800x\\q"]',
        '\u0000',
        '["count",01]',
        '["count",NaN]',
      ),
      ...(prefix ? ['["count"]', 'CUSTOM', 'custom:["count"]', ''] : []),
    ],
    noArray: all('{}', 'null', '5', 'true', '"count"', '"abc"', '{"type":"count"}', '{"0":"count","length":1}', '[]'),
    noType: all('[null]', '[""]', '["",1]', '[null,1,null]', '[null,{"count":1},""]', '["",null,null]'),
    stampOnly: all('[null,1,"s"]', '["",1,"s"]', '[null,null,"s"]'),
    barePayloads: all('["~wse:hi"]', '["~wse:hi",5]', '["~wse:hi","valid-secret"]', '["~wse:hi",["valid-secret",{}]]'),
    otherKind: [`${prefix}["count"]`],
    oddTypes: all('[5]', '[true,1]', '[{"a":1},1]', '[["count"],1]', '[1.5,1,null]', '[5,1,"s"]', '[false,1]', '[0,1]'),
    oddStamps: [12345, 1.5, true, { a: 1 }, [1, 'x'], -1, 0, false].map((stamp) => [
      `${prefix}["echo","odd",${JSON.stringify(stamp)}]`,
      stamp,
    ]),
    longer: all(
      '["echo",1,"s","more"]',
      '["echo",1,"s",null,null]',
      '["echo",1,"s","a","b",{"c":1}]',
      '["echo",1,"s",[1],{}]',
    ),
    nested: (rpc) =>
      rpc === null
        ? [...deep(DEEP).map((text) => prefix + text), `${prefix}${'['.repeat(DEEP)}`]
        : deep(DEEP).map((text) => `${prefix}[${JSON.stringify(rpc)},${text},"s"]`),
  }
}

const hex = (text) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const join = (...parts) => Buffer.concat(parts.map((part) => (typeof part === 'string' ? hex(part) : part)))

const text = (string) => join(Buffer.from([0x60 + Buffer.byteLength(string)]), Buffer.from(string))
const bytes = (hexes) => hexes.map(hex)

const cborInputs = () => ({
  // Truncated, reserved additional information, a lone break, a text that is not UTF-8.
  undecodable: [
    ...bytes([
      '',
      '83',
      '83 65',
      '9f 61 61',
      'ff',
      '1c',
      '9b ffffffffffffffff',
      '7b 7fffffffffffffff',
      '81 62 c328',
      '81 7c',
    ]),
    join('82', text('count'), 'a1 61 6e'),
  ],
  noArray: [
    ...bytes(['a0', 'f6', '05', 'f5', '65 636f756e74', '45 636f756e74', 'fb 3ff8000000000000', '80', '9f ff']),
    join('a1', text('type'), text('count')),
  ],
  noType: bytes(['81 f6', '81 60', '82 60 01', '83 f6 01 f6', '83 f6 01 60', '83 60 f6 f6']),
  stampOnly: bytes(['83 f6 01 61 73', '83 60 01 61 73', '83 f6 f6 61 73']),
  barePayloads: [
    join('81', text('~wse:hi')),
    join('82', text('~wse:hi'), '05'),
    join('82', text('~wse:hi'), text('valid-secret')),
  ],
  otherKind: ['["count",null,null]', 'x', ''],
  oddTypes: bytes([
    '81 05',
    '82 f5 01',
    '82 a1 61 61 01 01',
    '82 81 65 636f756e74 01',
    '82 45 636f756e74 01',
    '83 05 01 61 73',
    '81 f4',
    '82 00 01',
  ]),
  oddStamps: [
    ['19 3039', 12345],
    ['fb 3ff8000000000000', 1.5],
    ['f5', true],
    ['a1 61 61 01', { a: 1 }],
    ['82 01 61 78', [1, 'x']],
    ['20', -1],
    ['00', 0],
    ['f4', false],
  ].map(([stamp, value]) => [join('83', text('echo'), text('odd'), stamp), value]),
  longer: ['61 61', 'f6 f6', '61 61 61 62 a0', '81 01 a0'].map((rest, at) =>
    join(['84', '85', '86', '85'][at], text('echo'), '01', text('s'), rest),
  ),
  nested(rpc) {
    const deep = [
      Buffer.concat([Buffer.alloc(DEEP, 0x81), hex('01')]),
      Buffer.concat([Buffer.alloc(DEEP, 0x9f), Buffer.alloc(DEEP, 0xff)]),
      Buffer.concat([Buffer.alloc(DEEP * 3, hex('a1 61 61')), hex('01')]),
      Buffer.concat([Buffer.alloc(DEEP, 0xc6), hex('01')]),
    ]
    return rpc === null
      ? [...deep, Buffer.alloc(DEEP, 0x81)]
      : deep.map((value) => join('83', text(rpc), value, text('s')))
  },
})

function varint(number) {
  const out = []
  for (; number > 127; number = Math.floor(number / 128)) out.push((number % 128) | 128)
  return Buffer.from([...out, number])
}
const field = (number, content) => {
  const body = typeof content === 'string' ? Buffer.from(content) : content
  return Buffer.concat([varint(number * 8 + 2), varint(body.length), body])
}

/** A google.protobuf.Value of this many lists in each other. */
function nestedLists(depth) {
  const heads = []
  let size = 2
  for (let level = 0; level < depth; level += 1) {
    const list = join('0a', varint(size))
    const value = join('32', varint(size + list.length))
    heads.push(list, value)
    size += list.length + value.length
  }
  return Buffer.concat([...heads.reverse(), hex('08 00')])
}

const protobufInputs = () => ({
  // A tag without its field, a length past the end, wire types 6 and 7, field number 0, an endless varint, bad UTF-8.
  undecodable: [
    ...bytes([
      'ff',
      '0a',
      '0a 05 61',
      '0a ff ff ff ff 0f',
      '0e',
      '0f',
      '02 00',
      '20 ffffffffffffffffffffff',
      '0a 02 c3 28',
      '0d 00',
    ]),
    Buffer.from('["count",null,null]'),
  ],
  noArray: [],
  noType: [
    Buffer.alloc(0),
    field(2, field(3, 'x')),
    field(1, ''),
    join(field(1, ''), field(3, '')),
    join('20 01'),
    field(15, 'x'),
  ],
  stampOnly: [field(3, 's'), join(field(2, field(3, 'x')), field(3, 's'))],
  badPayload: ['count', 'record', 'hey', 'no-such'].flatMap((type) => [
    join(field(1, type), field(2, hex('ff ff'))),
    join(field(1, type), field(2, hex('0a')), field(3, 's')),
    join(field(1, 'add'), field(2, hex('2a 05 0a')), field(3, 's')),
  ]),
  barePayloads: [
    field(1, '~wse:hi'),
    join(field(1, '~wse:hi'), field(2, hex('ff ff'))),
    join(field(1, '~wse:hi'), field(2, field(2, hex('2a 00')))),
    join(field(1, '~wse:hi'), field(2, field(1, hex('08 00')))),
    join(field(1, '~wse:hi'), field(2, field(1, hex('ff')))),
  ],
  otherKind: [field(1, 'count').toString()],
  // A number where a text belongs: an unknown field to some decoders, an error to others.
  oddTypes: bytes(['08 05', '09 0000000000000000', '08 05 1a 01 73']),
  oddStamps: [[join(field(1, 'echo'), field(2, field(3, 'odd')), '18 05'), null]],
  longer: [join(field(1, 'echo'), field(2, hex('11 000000000000f03f')), field(3, 's'), field(5, 'more'), '30 01')],
  nested: (rpc) =>
    [90, 1000, 20_000].map((depth) =>
      rpc === null ? nestedLists(depth) : join(field(1, rpc), field(2, nestedLists(depth)), field(3, 's')),
    ),
})

export const INPUTS = {
  json: jsonInputs(''),
  custom: jsonInputs('CUSTOM:'),
  cbor: cborInputs(),
  protobuf: protobufInputs(),
}
