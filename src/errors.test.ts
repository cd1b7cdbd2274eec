import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ApiError, type ApiErrorCode, apiErrors, jobFailures } from './errors.ts'

const sources = globSync('**/*.ts', { cwd: import.meta.dirname })
  .filter((path) => !path.endsWith('.test.ts') && path !== 'errors.ts')
  .map((path) => ({ path, text: readFileSync(join(import.meta.dirname, path), 'utf8') }))

const contractPath = join(import.meta.dirname, '../../shared/contract.md')
const contract = existsSync(contractPath) ? readFileSync(contractPath, 'utf8') : undefined

test('every code that the sources throw is in the table', () => {
  let thrown = 0
  for (const { path, text } of sources) {
    for (const [, code] of text.matchAll(/new ApiError\(\s*'(\w+)'/g)) {
      thrown++
      assert.ok(Object.hasOwn(apiErrors, code!), `${path} throws ${code}`)
    }
  }
  assert.ok(thrown > 20, `only ${thrown} were found`)
})

test('every code of the table is used by some source', () => {
  for (const code of Object.keys(apiErrors)) {
    // the routes' lists of what they may answer use none
    const uses = new RegExp(`(new ApiError\\(\\s*|\\bcode: |\\?\\? )'${code}'|: \\[\\s*'${code}',\\s*'[^']* `)
    assert.ok(
      sources.some(({ text }) => uses.test(text)),
      `${code} is answered nowhere`,
    )
  }
})

test('the statuses are those of the contract', (t) => {
  if (contract === undefined) return t.skip('the contract is not at hand')
  const statuses = new Map<string, number>()
  for (const [, codes, status] of contract.matchAll(/^\| ([A-Z_ /]+?) \| (\d{3}(?: \/ \d{3})*) \|/gm)) {
    // one for all, or one for each
    const each = status!.split(' / ')
    for (const [index, code] of codes!.split(' / ').entries()) {
      statuses.set(code, Number(each[index] ?? each[0]))
    }
  }
  assert.ok(statuses.size > 30, `only ${statuses.size} were read`)
  for (const [code, { status }] of Object.entries(apiErrors)) assert.equal(status, statuses.get(code), code)
})

test('the job failures are those of the contract', (t) => {
  if (contract === undefined) return t.skip('the contract is not at hand')
  const [, list] = /^Job failure codes .*?: ([A-Z_, ]+)\./m.exec(contract)!
  assert.deepEqual(Object.keys(jobFailures).sort(), list!.split(', ').sort())
})

test('every entry says what happened and what to do', () => {
  const titles = new Set<string>()
  for (const [code, entry] of Object.entries(apiErrors)) {
    for (const text of [entry.meaning, entry.remedy]) assert.match(text, /^[A-Z"].{8,}\.$/, code)
    assert.match(entry.title, /^[A-Z].{4,}[^.]$/, code)
    titles.add(entry.title)
  }
  assert.equal(titles.size, Object.keys(apiErrors).length)
  for (const [code, text] of Object.entries(jobFailures)) assert.match(text, /^[A-Z].{8,}\.$/, code)
})

test('what may be tried again unchanged is what is busy or broken on our side', () => {
  for (const [code, { status, retryable }] of Object.entries(apiErrors)) {
    const isPassing = status === 429 || status === 503 || code === 'INTERNAL_ERROR'
    assert.equal(retryable, isPassing, code)
  }
})

test('an error knows its status, and keeps its cause out of its message', () => {
  for (const code of Object.keys(apiErrors) as ApiErrorCode[]) {
    assert.equal(new ApiError(code, 'x').status, apiErrors[code].status)
  }
  const error = new ApiError('INTERNAL_ERROR', 'public', undefined, new Error('secret'))
  assert.equal(error.message, 'public')
  assert.equal((error.cause as Error).message, 'secret')
  assert.equal('cause' in new ApiError('NOT_FOUND', 'public'), false)
})
