import assert from 'node:assert/strict'
import { test } from 'node:test'
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
