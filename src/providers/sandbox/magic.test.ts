import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jobFailures } from '../../errors.ts'
import { magicWords, readMagic, withoutMagic } from './magic.ts'

test('every documented example is understood', () => {
  for (const { example } of magicWords) {
    assert.ok('magic' in readMagic([`A cat ${example} in a room`]), example)
  }
})

test('every failure code can be asked for', () => {
  for (const code of Object.keys(jobFailures)) {
    const reading = readMagic([`[sandbox:fail ${code}]`])
    assert.ok('magic' in reading && reading.magic.fail === code)
  }
})

test('magic words work together and in any shot', () => {
  const reading = readMagic(['Sea [sandbox:pending 2]', 'Sky [sandbox:processing 0.5] [SANDBOX:output-404]'])
  assert.deepEqual(reading, {
    magic: { fail: null, pendingSeconds: 2, processingSeconds: 0.5, missingOutput: true, lostSeconds: null },
  })
})

test('a prompt full of beginnings costs no more than its length', { timeout: 60_000 }, () => {
  const reading = readMagic(['[sandbox:'.repeat(200_000)])
  assert.ok('magic' in reading && reading.magic.fail === null)
})

test('a malformed magic word is named together with what to write instead', () => {
  const malformed = [
    ['[sandbox:explode]', /\[sandbox:fail/],
    ['[sandbox:fail NOPE]', /GENERATION_FAILED/],
    ['[sandbox:fail]', /GENERATION_FAILED/],
    ['[sandbox:pending]', /number of seconds from 0 to 3600/],
    ['[sandbox:processing -1]', /number of seconds/],
    ['[sandbox:lost 3601]', /number of seconds/],
    ['[sandbox:lost 1e3]', /number of seconds/],
    ['[sandbox:output-404 5]', /nothing after it/],
  ] as const
  for (const [prompt, remedy] of malformed) {
    const reading = readMagic([prompt])
    assert.ok('problem' in reading, prompt)
    assert.match(reading.problem, remedy)
    assert.ok(reading.problem.includes(prompt))
  }
})

test('magic words are not shown', () => {
  assert.equal(
    withoutMagic('A cat [sandbox:fail GENERATION_FAILED] in a room [sandbox:lost 3]'),
    'A cat in a room',
  )
})
