import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextAttemptDelayMs, type WebhookSchedule } from './schedule.ts'

function delaySeconds(schedule: WebhookSchedule): (number | undefined)[] {
  const delays: (number | undefined)[] = []
  for (let made = 1; delays.at(-1) !== undefined || made === 1; made++) {
    const delayMs = nextAttemptDelayMs(made, schedule)
    delays.push(delayMs === undefined ? undefined : delayMs / 1000)
  }
  return delays
}

test('the short schedule is over after 1, 4, 16, 64 and 256 s', () => {
  assert.deepEqual(delaySeconds('short'), [1, 4, 16, 64, 256, undefined])
})

test('the long schedule goes on after 15 minutes, 1, 3, 6 and 12 hours', () => {
  const hours = [1, 3, 6, 12].map((count) => count * 3600)
  assert.deepEqual(delaySeconds('long'), [1, 4, 16, 64, 256, 15 * 60, ...hours, undefined])
})
