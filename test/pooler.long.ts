import assert from 'node:assert/strict'
import { test } from 'node:test'
import { filmgate } from './command-line.ts'
import { refusal, skips, startPooler } from './pooler.ts'

test('PgBouncer in transaction mode with a single connection is refused in one line', async (t) => {
  if (skips(t)) return
  const outcome = await filmgate('job list', { DATABASE_URL: await startPooler('transaction', 1) })
  assert.equal(outcome.code, 1)
  assert.match(outcome.stderr, refusal)
})

test('PgBouncer in session mode without a free connection is named as what gives no answer', async (t) => {
  if (skips(t)) return
  const outcome = await filmgate('job list', { DATABASE_URL: await startPooler('session', 1) })
  assert.equal(outcome.code, 1)
  assert.match(
    outcome.stderr,
    /^filmgate: DATABASE_URL: the server .* answers no statement within 10 s: .*\n$/m,
  )
})
