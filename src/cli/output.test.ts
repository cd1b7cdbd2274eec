import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { print, printable, table } from './output.ts'

const hostile = '\x1b]52;c;ZXZpbA==\x07\x9b2J\r\x7f'

test('what somebody else wrote moves no cursor and fills no clipboard: it is shown', () => {
  assert.equal(printable(`a\n${hostile}`), 'a\n␛]52;c;ZXZpbA==␇\ufffd2J␍␡')
  assert.deepEqual(
    table([
      ['response', 'ok\njob  forged'],
      ['id', '1'],
    ]),
    ['response  ok␊job  forged', 'id        1'],
  )
})

test('one JSON document has no control characters either, and says the same', (context) => {
  const log = context.mock.method(console, 'log', () => {})
  print({ json: true }, { response: hostile }, [])
  const [text] = log.mock.calls[0]!.arguments
  assert.doesNotMatch(text, /\p{Cc}/u)
  assert.deepEqual(JSON.parse(text), { response: hostile })
})

async function logged(environment: Record<string, string>, words: string): Promise<string> {
  const code = `import { createLog } from '${new URL('./output.ts', import.meta.url)}'
const log = await createLog({ logLevel: 'info', logFormat: process.env.FORMAT || undefined })
log.warn({ model: 'a\\u001b[2Jb' }, process.env.WORDS)
log.error({ err: new Error('it broke') }, 'failed')`
  const env = { PATH: process.env.PATH, WORDS: words, ...environment }
  const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], { env })
  return stderr
}

test('the log is JSON where nobody looks, and text with levels as words where it is asked for', async () => {
  const words = 'a lake\u001b]0;x\u0007\u009b1m'
  const [first, second] = (await logged({}, words))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.deepEqual([first.level, first.msg, second.err.message], [40, words, 'it broke'])
  const text = await logged({ FORMAT: 'text' }, words)
  assert.match(text, /^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] WARN: a lake/)
  assert.match(text, /^\[.*\] ERROR: failed/m)
  assert.match(text, /Error: it broke\n +at /)
  // no character of it that a terminal would obey
  assert.doesNotMatch(text, /(?!\n)\p{Cc}/u)
})
