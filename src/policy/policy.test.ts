import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloneDatabase } from '../../test/database.ts'
import { systemClock } from '../clock.ts'
import { createPolicySource } from './policy.ts'
import { setVisibility } from './settings.ts'

const { pool } = await cloneDatabase()
const [first, second] = ['a/b/c', 'a/b/d']

async function newestNumber(): Promise<bigint> {
  const { rows } = await pool.query<{ number: bigint }>('select number from policy_version')
  return rows[0]!.number
}

test('where the database has gone back, what was lost with it no longer counts, and what is set next does', async () => {
  const { since, recent } = createPolicySource(pool, systemClock)
  const restored = await newestNumber()
  await setVisibility(pool, first, { visibility: 'private' })
  const lost = await since(await newestNumber())
  assert.ok(lost.visibility.has(first))

  await setVisibility(pool, first, { visibility: 'public' })
  await pool.query('update policy_version set number = $1', [restored])
  assert.ok(!(await since(restored)).visibility.has(first))

  // up to the number that the lost change had
  await setVisibility(pool, second, { visibility: 'private' })
  await pool.query('update policy_version set number = $1', [lost.number])
  for (const policy of [await since(lost.number), await recent()]) {
    assert.deepEqual([...policy.visibility.keys()], [second])
  }
})

test('of many that ask while it changes each gets the policy that it knows of', async () => {
  const { since } = createPolicySource(pool, systemClock)
  const slugs = Array.from({ length: 20 }, (_, index) => `many/models/number-${index}`)
  const asked: Promise<void>[] = []
  for (const slug of slugs) {
    await setVisibility(pool, slug, { visibility: 'private' })
    const number = await newestNumber()
    asked.push(since(number).then(({ visibility }) => assert.ok(visibility.has(slug), slug)))
  }
  await Promise.all(asked)
})

test('a clock that is set back does not keep an old policy in force', async () => {
  let now = new Date()
  const { recent } = createPolicySource(pool, { now: () => now })
  await recent()
  await setVisibility(pool, 'a/b/e', { visibility: 'private' })
  now = new Date(now.getTime() - 3_600_000)
  assert.ok((await recent()).visibility.has('a/b/e'))
})
