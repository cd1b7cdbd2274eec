import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cloneDatabase, makeCustomer } from '../../test/database.ts'
import { ApiError } from '../errors.ts'
import type { uploadLimits } from './room.ts'
import { createUpload } from './uploads.ts'

const { pool } = await cloneDatabase()
const start = new Date('2026-11-20T12:00:00Z')
const mebibyte = 1_048_576
const plenty = { bytes: 1_000_000 * mebibyte, filesPerHour: 1_000_000 }

const minutesLater = (minutes: number) => new Date(start.getTime() + minutes * 60_000)

async function makeUploader() {
  const { userId } = await makeCustomer(pool)
  return (contentType: string, now: Date, limits: Partial<typeof uploadLimits> = {}) =>
    createUpload(pool, { userId, filename: 'x', contentType }, now, { ...plenty, ...limits })
}

/** The refusal, with the seconds to wait. */
async function retryAfter(presign: Promise<unknown>): Promise<unknown> {
  const error = await presign.then(
    () => assert.fail('it was not refused'),
    (reason) => reason,
  )
  assert.ok(error instanceof ApiError && error.code === 'RATE_LIMIT_EXCEEDED', String(error))
  return error.details?.retryAfter
}

async function store(id: string, bytes: number) {
  await pool.query("update uploads set status = 'stored', bytes = $2 where id = $1", [id, bytes])
}

test('a user can presign so many files in an hour, and one more once the first is an hour old', async () => {
  const presign = await makeUploader()
  const limits = { filesPerHour: 3 }
  for (const minutes of [0, 10, 20]) await presign('image/png', minutesLater(minutes), limits)
  assert.equal(await retryAfter(presign('image/png', minutesLater(30), limits)), 30 * 60)
  await presign('image/png', minutesLater(60), limits)
  assert.equal(await retryAfter(presign('image/png', minutesLater(60), limits)), 10 * 60)
})

test('files that may still be put count with the most bytes of their type, stored or not', async () => {
  const presign = await makeUploader()
  const limits = { bytes: 110 * mebibyte }
  const film = await presign('video/mp4', start, limits)
  await store(film.id, 5)
  await presign('image/png', start, limits)
  assert.equal(await retryAfter(presign('image/png', minutesLater(1), limits)), 29 * 60)
})

test('after half an hour a file counts with its own bytes, and one that was not put with none', async () => {
  const presign = await makeUploader()
  const limits = { bytes: 100 * mebibyte }
  const sound = await presign('audio/wav', start, limits)
  await store(sound.id, 1)
  await presign('audio/wav', start, limits)
  await retryAfter(presign('video/mp4', minutesLater(29), limits))
  // one byte is left, and there until a day after it has expired
  assert.equal(await retryAfter(presign('video/mp4', minutesLater(31), limits)), (25 * 60 - 31) * 60)
  await pool.query("update uploads set status = 'deleted' where id = $1", [sound.id])
  await presign('video/mp4', minutesLater(31), limits)
})

test('presigns at once get no more room than one after the other, and take none of another user', async () => {
  const [presign, other] = [await makeUploader(), await makeUploader()]
  const limits = { bytes: 30 * mebibyte }
  const outcomes = await Promise.allSettled(
    Array.from({ length: 12 }, () => presign('image/png', start, limits)),
  )
  assert.equal(outcomes.filter((outcome) => outcome.status === 'fulfilled').length, 3)
  await other('image/png', start, limits)
})
