import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Argument, type Command, InvalidArgumentError, type Option } from 'commander'
import type { Parser } from './arguments.ts'
import { commandsOf, createProgram } from './program.ts'

/** What no number may be written as. */
const noNumbers = [
  '',
  ' ',
  '1e3',
  '0x10',
  '+5',
  '-5',
  '5.0',
  '05',
  ' 5',
  '5 ',
  '1_000',
  '1,000',
  '٣',
  'NaN',
  'Infinity',
]
const noLine = ['', '  ', 'two\nlines', 'a\u0000b', '\u001b[2J', 'x'.repeat(1001)]
const noWord = ['', ' ', 'two words', 'a\nb', 'a\u0000b', 'x'.repeat(256)]

/** For each kind what is right, and what must be refused. */
const kinds: Record<string, { good: string[]; bad: string[] }> = {
  'whole number': { good: ['1', '999999999'], bad: [...noNumbers, '0', '1000000000', 'unlimited'] },
  limit: { good: ['1', 'unlimited'], bad: [...noNumbers, '0', 'Unlimited', 'none'] },
  count: { good: ['1', '1000'], bad: [...noNumbers, '0', '1001'] },
  days: { good: ['1', '36500'], bad: [...noNumbers, '0', '36501', '1d'] },
  'micro-cents': { good: ['0', '999999999999999'], bad: [...noNumbers, '1000000000000000', '$5', '0.5'] },
  amount: { good: ['1', '999999999999999'], bad: [...noNumbers, '0', '1000000000000000', '$5', '0.5'] },
  percent: {
    good: ['12.5', '100', '0.000000001'],
    bad: ['', '0', '0.0', '101', '100.1', '-5', '+5', '5%', '1e1', '.5', '5.', '05', '12,5', ' 5'],
  },
  markup: {
    good: ['0', '12.5', '1000'],
    bad: ['', '1001', '-1', '+1', '1e1', '5%', '05', '.5', ' 5', '1000.1'],
  },
  margin: {
    good: ['20', '-12.5', '0'],
    bad: ['', '+5', '5%', '1e1', '.5', '5.', '05', '12,5', ' 5', '10000', '--5'],
  },
  dollars: {
    good: ['5.00', '0', '0.000001'],
    bad: ['', '$5', '5.', '.5', '05', '1e1', '-5', '+5', '5,00', '1.0000001', ' 5'],
  },
  reason: { good: ['contract 7'], bad: ['', ' ', 'a\nb', 'a\u0000', 'x'.repeat(501)] },
  reference: { good: ['invoice-7'], bad: ['', ' ', 'a\nb', 'x'.repeat(256)] },
  moment: {
    good: ['2027-01-31T00:00:00Z', '2028-02-29T23:59:59.999+14:00', '2027-01-31T00:00-12:00'],
    bad: [
      ...[
        '',
        'tomorrow',
        '2027',
        '1798675200',
        '2027-01-31',
        '31.01.2027',
        '01/02/2027',
        '2027-1-31T00:00:00Z',
      ],
      ...['2027-01-31T00:00:00', '2027-01-31 00:00:00Z', '2027-01-31T00:00:00 Z', '2027-01-31T00:00:00+0100'],
      ...['2026-02-30T00:00:00Z', '2027-02-29T00:00:00Z', '2027-04-31T00:00:00Z', '2027-13-01T00:00:00Z'],
      ...['2027-00-10T00:00:00Z', '2027-01-00T00:00:00Z', '2027-01-31T24:00:00Z', '2027-01-31T00:60:00Z'],
      ...['2027-01-31T00:00:60Z', '2027-01-31T00:00:00+15:00', '2027-01-31T00:00:00-00:00'],
      ...[
        '2027-01-31T00:00:00+01:60',
        '+027-01-31T00:00:00Z',
        '2027-01-31T00:00:00CET',
        ' 2027-01-31T00:00:00Z',
      ],
      ...['2027-01-31T00:00:00.1234Z', '2027-W04-7T00:00:00Z', '２027-01-31T00:00:00Z'],
    ],
  },
  'e-mail': {
    good: ['a@b', 'Ada.Lovelace+films@mail.example.com', 'jörg@müller.example'],
    bad: [
      ...[
        '',
        'nobody',
        '@b',
        'a@',
        'a@@b',
        'a b@c',
        'a@b,c@d',
        'a@b;c@d',
        'Ada <a@b>',
        'a..b@c',
        '.a@b',
        'a.@b',
      ],
      ...['a@b..c', 'a@-b', 'a@b.', 'a@b\n', `${'a'.repeat(65)}@b`, `a@${'b'.repeat(255)}`],
    ],
  },
  url: {
    good: ['https://example.com/hook?a=b', 'http://127.0.0.1:80'],
    bad: [
      '',
      'example.com',
      'ftp://example.com',
      'https://',
      'https://a:b@c',
      'https://a b',
      ' https://a',
      'javascript:1',
    ],
  },
  scopes: {
    good: ['submit_job', 'submit_job, check_status'],
    bad: [
      '',
      'submit_job,',
      ',submit_job',
      'submit_job,,admin',
      'submit_job,submit_job',
      'root',
      'Submit_job',
      'a;b',
    ],
  },
  ranges: {
    good: ['192.0.2.7', '10.0.0.0/8,2001:db8::/32', '::1'],
    bad: [
      ...[
        '',
        '10.0.0.1,',
        '10.0.0.1,,10.0.0.2',
        '10.0.0.1,10.0.0.1',
        'home',
        '10.1',
        '0x7f.1',
        '10.0.0.1/33',
      ],
      ...[
        '10.0.0.0/08',
        '10.0.0.0/',
        '10.0.0.1/8',
        '2001:db8::1/32',
        '10.0.0.0/8/8',
        '010.0.0.1',
        'fe80::1%eth0/64',
      ],
    ],
  },
  segments: { good: ['studios', 'a,b'], bad: ['', 'a,', 'a,,b', 'a,a', 'A', 'a b', '-a'] },
  segment: { good: ['studios', '9'], bad: ['', 'Studios', '-a', 'a_b', 'a b', 'a'.repeat(64)] },
  port: {
    good: ['0', '65535'],
    bad: [...noNumbers.filter((text) => text !== '5'), '65536', '08787', 'http'],
  },
  host: { good: ['127.0.0.1', '::1', 'films.example.com'], bad: ['', ' ', 'http://a', 'a b', 'a/b', 'a,b'] },
  word: { good: ['user_1', 'a@b', 'kling/kling-omni-o1/image-to-video'], bad: noWord },
  text: { good: ['contract 7', 'Größe 5 %'], bad: noLine },
  path: { good: ['cat.jpg', '/tmp/a b'], bad: ['', ' ', 'a\u0000b'] },
  version: { good: ['v1.0', '1'], bad: ['', ' ', 'v 1', '-1', 'v1/0', 'v'.repeat(65)] },
  'request id': {
    good: ['req_mi8q2k0x1f7d2m9c4p6t8w0z1', 'order-4711'],
    bad: ['', 'short', 'a b c d e f', 'ünicode-words', 'x'.repeat(129)],
  },
  'idempotency key': { good: ['order-4711'], bad: ['', 'a b', 'ä', 'a\n', 'k'.repeat(256)] },
  field: {
    good: ['duration=10', 'tags:=["a"]'],
    bad: ['', 'duration', '=5', '5=5', 'a b=c', 'tags:=[', 'a:=undefined'],
  },
  note: { good: ['order=4711', 'a='], bad: ['', 'order', '=5', 'a=b\nc'] },
  factor: {
    good: ['duration.10=1.8', 'resolution.1.5=2'],
    bad: [
      '',
      'duration=2',
      '.10=2',
      'duration.=2',
      'duration.5=x',
      'duration.5=1e1',
      'duration.5=-1',
      'duration.5=01',
    ],
  },
}

const takesValue = (option: Option) => option.required || option.optional

interface Place {
  name: string
  parseArg: Parser<unknown> | undefined
  choices: string[] | undefined
}

function placesOf(command: Command): Place[] {
  const path: string[] = []
  for (let each: Command | null = command; each?.parent; each = each.parent) path.unshift(each.name())
  const place = (
    name: string,
    { parseArg, argChoices }: Pick<Option | Argument, 'parseArg' | 'argChoices'>,
  ) => ({
    name: `${path.join(' ')} ${name}`,
    parseArg: parseArg as Parser<unknown> | undefined,
    choices: argChoices,
  })
  return [
    ...command.registeredArguments.map((argument) => place(`<${argument.name()}>`, argument)),
    ...command.options.filter((option) => takesValue(option)).map((option) => place(option.flags, option)),
  ]
}

const places = commandsOf(createProgram()).flatMap(placesOf)

test('every option with a value and every argument is strict, in each command that there is', () => {
  assert.ok(places.length > 60, `only ${places.length} were found`)
  const lax = places.filter(
    ({ parseArg, choices }) => choices === undefined && kinds[parseArg?.kind ?? ''] === undefined,
  )
  assert.deepEqual(
    lax.map(({ name }) => name),
    [],
    'give it a parser of cli/arguments.ts, and its kind a row above',
  )
})

test('each of them takes what is right and refuses all else with an example', () => {
  for (const { name, parseArg, choices } of places) {
    if (choices !== undefined || parseArg === undefined) continue
    const { good, bad } = kinds[parseArg.kind]!
    for (const text of good) assert.doesNotThrow(() => parseArg(text), `${name} ${text}`)
    for (const text of bad) {
      assert.throws(
        () => parseArg(text),
        (error) =>
          error instanceof InvalidArgumentError &&
          /like |write |give |must be|is not one of|there twice/.test(error.message),
        `${name} takes ${JSON.stringify(text)}`,
      )
    }
  }
})

test('what is misspelt in a list is named with the nearest that is known', () => {
  const scopes = places.find(({ parseArg }) => parseArg?.kind === 'scopes')!.parseArg!
  assert.throws(() => scopes('submit_jobs'), /"submit_jobs" is not one of .*; did you mean "submit_job"\?/)
  assert.throws(() => scopes('Admin'), /did you mean "admin"\?/)
})

test('what may be given once is refused the second time, in each command', async () => {
  for (const command of commandsOf(createProgram())) {
    for (const { flags, parseArg } of command.options.filter((option) => takesValue(option))) {
      if ((parseArg as unknown as Parser<unknown> | undefined)?.repeats) continue
      const own = commandsOf(createProgram()).find(
        (each) => each.name() === command.name() && each.parent?.name() === command.parent?.name(),
      )!
      own.configureOutput({ writeErr() {} }).exitOverride()
      const name = flags.split(/[ ,]/)[0]!
      const kind = (parseArg as unknown as Parser<unknown> | undefined)?.kind
      const value =
        kinds[kind ?? '']?.good[0] ?? own.options.find((option) => option.flags === flags)!.argChoices![0]!
      assert.throws(
        () => own.parseOptions([name, value, name, value]),
        /is given twice/,
        `${command.name()} ${flags}`,
      )
    }
  }
})
