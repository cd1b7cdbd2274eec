import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findUnfaithful, parseStrictly, twice } from './strict-json.ts'

const read = (text: string) => parseStrictly(Buffer.from(text))
const issueOf = (text: string) => {
  const parsed = read(text)
  return 'issue' in parsed ? `${parsed.issue.path}: ${parsed.issue.message}` : undefined
}

test('JSON that says one thing is read as JSON.parse does', () => {
  for (const text of [
    '{}',
    ' [1, 2.5e-3, -0, 0.1, 1e15, "1e400", null, true] ',
    '{"a":{"b":1},"c":{"b":2},"d":[{"b":1},{"b":1}]}',
    '{"a":"\\\\","b":"\\"a\\":1,{","":"x","A":"\\u0061"}',
    '{"__proto__":1,"constructor":{"prototype":2},"toString":3}',
    `{"most":9007199254740991,"least":-9007199254740991}`,
    `${'['.repeat(64)}${']'.repeat(64)}`,
  ]) {
    assert.deepEqual(read(text), { value: JSON.parse(text) }, text)
  }
})

test('a name that stands twice in an object is named, wherever it stands and however it is written', () => {
  for (const [text, path] of [
    ['{"a":1,"a":1}', 'a'],
    ['{"a":1,"\\u0061":2}', 'a'],
    ['{"input":{"x":[0,{"b":1,"c":{"d":[]},"b":2}]}}', 'input.x[1].b'],
    ['[{},{"":1,"":2}]', '[1].'],
    ['{"__proto__":1,"__proto__":2}', '__proto__'],
    ['{"a":{"a":{"a":1}},"b":"a","a":null}', 'a'],
  ] as const) {
    assert.equal(issueOf(text), `${path}: ${twice}`)
  }
})

test('a number that a double does not hold is named', () => {
  for (const number of [
    '9007199254740992',
    '-9007199254740993',
    '1e400',
    '-1E+999',
    '123456789012345678901234567890',
    '1e16',
  ]) {
    assert.match(
      issueOf(`{"input":{"seed":[1,${number}]}}`) ?? '',
      /^input\.seed\[1\]: must be a number from/,
      number,
    )
  }
})

test('what is no UTF-8, no JSON, marked with a byte order or too deep is refused', () => {
  for (const [bytes, reason] of [
    [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /not valid UTF-8/],
    [Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), /not valid UTF-8/],
    [Buffer.from('{"a":1}', 'utf16le'), /not valid JSON/],
    [Buffer.from('\ufeff{}'), /byte order mark/],
    [Buffer.from('{} x'), /not valid JSON/],
    [Buffer.from('{"a":1}{"a":1}'), /not valid JSON/],
    [Buffer.from("{'a':1}"), /not valid JSON/],
    [Buffer.from('{"a":NaN}'), /not valid JSON/],
    [Buffer.from('{"a":1,}'), /not valid JSON/],
    [Buffer.from('/**/{}'), /not valid JSON/],
    [Buffer.from(`${'['.repeat(65)}${']'.repeat(65)}`), /nested more than 64/],
    [Buffer.from(`{"a":${'['.repeat(500_000)}${']'.repeat(500_000)}}`), /nested more than 64/],
  ] as const) {
    const parsed = parseStrictly(bytes)
    assert.match('issue' in parsed ? parsed.issue.message : 'taken', reason)
  }
})

/** Random JSON with spaces, escapes and, at times, a name that stands twice; with the paths of those. */
function makeJson(random: () => number, depth: number, path: string, twins: string[]): string {
  const pick = (most: number) => Math.floor(random() * most)
  const space = ['', '', ' ', '\n\t'][pick(4)]!
  const kind = depth === 0 ? pick(3) : pick(5)
  if (kind === 0)
    return space + ['null', 'true', '-0', '1.5e3', '9007199254740991', '0.1E-7'][pick(6)]! + space
  if (kind < 3)
    return space + JSON.stringify(['', 'a', '"', '\\', '\\"', '{"a":1,"a":2}', 'é🎬', '],['][pick(8)]) + space
  const count = pick(4)
  if (kind === 3) {
    const items = Array.from({ length: count }, (_, index) =>
      makeJson(random, depth - 1, `${path}[${index}]`, twins),
    )
    return `${space}[${items.join(',')}]`
  }
  const names = new Set<string>()
  const members = Array.from({ length: count }, () => {
    const name = ['a', 'b', 'c"', '\\', '', 'é'][pick(6)]!
    const here = path === '' ? name : `${path}.${name}`
    const isTwin = names.has(name)
    names.add(name)
    if (isTwin) twins.push(here)
    const written =
      pick(3) === 0
        ? [...name].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
        : JSON.stringify(name).slice(1, -1)
    return `${space}"${written}"${space}:${makeJson(random, depth - 1, here, isTwin ? [] : twins)}`
  })
  return `{${members.join(',')}}${space}`
}

test('in 20,000 random texts it finds the first twin of each, and nothing where there is none', () => {
  let seed = 7
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed / 2_147_483_648
  }
  let found = 0
  for (let round = 0; round < 20_000; round++) {
    const twins: string[] = []
    const text = makeJson(random, 4, '', twins)
    JSON.parse(text)
    const issue = findUnfaithful(text)
    assert.equal(issue?.path, twins[0], text)
    if (issue !== undefined) found++
  }
  assert.ok(found > 500, String(found))
})
