import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { openDatabase } from '../src/database.ts'
import { fileOf } from '../torture/film.ts'
import { atEnd } from './at-end.ts'
import {
  balanceOf,
  cloneDatabase,
  ledgerProblems,
  makeCustomer,
  type TestDatabase,
  transfersOf,
} from './database.ts'
import { seedBody, textToVideo } from './seeds.ts'
import { type LoggedServer, mountSmallDisk, type SmallDisk, startLogged } from './small-disk.ts'
import { until } from './until.ts'
import { startKling } from './upstreams/kling.ts'

const megabyte = 1000 ** 2
const ended = ['completed', 'failed', 'cancelled']

/** What a customer asks of a server. */
function clientOf({ url }: LoggedServer, key: string) {
  const headers = { 'x-api-key': key, 'content-type': 'application/json' }
  const post = (path: string, body: unknown) =>
    fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  const get = async (jobId: string) => (await fetch(`${url}/v1/jobs/${jobId}`, { headers })).json()
  return {
    post,
    get,
    async submit(body: unknown): Promise<string> {
      const answer = await post('/v1/jobs/submit', body)
      const text = await answer.text()
      assert.equal(answer.status, 200, text)
      return JSON.parse(text).jobId
    },
    ended: (jobId: string) =>
      until(async () => {
        const job = await get(jobId)
        return ended.includes(job.status) && job
      }),
  }
}

/** A server whose files lie on the small disk, and whose database does not; nothing is kept back. */
async function startOn(disk: SmallDisk, database: TestDatabase, settings: Record<string, string> = {}) {
  return startLogged({
    DATABASE_URL: database.url,
    FILMGATE_DATA_DIR: disk.path,
    FILMGATE_MIN_FREE_DISK: '0MB',
    FILMGATE_ALLOW_PRIVATE_NETWORK: '1',
    ...settings,
  })
}

test('a render that the full disk cuts off is made anew once there is room, and charged once', async (t) => {
  const disk = await mountSmallDisk(t, 64)
  if (disk === undefined) return
  const database = await cloneDatabase()
  const { key } = await makeCustomer(database.pool)
  const client = clientOf(await startOn(disk, database), key)
  await disk.fill(300_000)
  const jobId = await client.submit(seedBody(textToVideo))
  await until(async () => (await disk.freeBytes()) < 20_000)
  await sleep(5_000)
  assert.equal((await client.get(jobId)).status, 'processing')
  await disk.empty()
  const job = await client.ended(jobId)
  assert.equal(job.status, 'completed', JSON.stringify(job.error))
  const file = await fetch(job.output)
  assert.ok((await file.bytes()).length > 300_000)
  assert.deepEqual(await transfersOf(database.pool, jobId), { charges: 1, refunds: 0 })
  const { rows } = await database.pool.query('select count(*)::int as n from attempts where job_id = $1', [
    jobId,
  ])
  assert.equal(rows[0].n, 1)
  assert.deepEqual(await ledgerProblems(database.pool), [])
})

test('an upload that the full disk cuts off is a 503, leaves nothing, and may be sent again', async (t) => {
  const disk = await mountSmallDisk(t, 64)
  if (disk === undefined) return
  const database = await cloneDatabase()
  const { key } = await makeCustomer(database.pool)
  const client = clientOf(await startOn(disk, database), key)
  const presigned = await client.post('/v1/uploads/presign', {
    filename: 'a.mp4',
    contentType: 'video/mp4',
  })
  const { uploadUrl, fileUrl } = (await presigned.json()).data
  const film = await padded(8 * megabyte)
  const put = () => fetch(uploadUrl, { method: 'PUT', headers: { 'content-type': 'video/mp4' }, body: film })
  await disk.fill(3 * megabyte)
  const before = await disk.freeBytes()
  const refused = await put()
  assert.equal(refused.status, 503)
  assert.equal((await refused.json()).error.code, 'SERVICE_UNAVAILABLE')
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  await until(async () => (await disk.freeBytes()) >= before)
  assert.equal((await fetch(fileUrl)).status, 404)
  await disk.empty()
  assert.equal((await put()).status, 200)
  assert.ok(Buffer.from(await (await fetch(fileUrl)).bytes()).equals(film))
})

test('an output that the full disk cuts off is fetched again once there is room, and made once', async (t) => {
  const disk = await mountSmallDisk(t, 64)
  if (disk === undefined) return
  const film = await padded(8 * megabyte)
  const kling = await startKling({ film, behave: () => ({ takesMs: 100 }) })
  atEnd(kling.stop)
  const database = await cloneDatabase()
  const customer = await makeCustomer(database.pool, { mode: 'live', microCents: 1_000_000_000n })
  const server = await startOn(disk, database, { KLING_API_KEY: kling.apiKey, KLING_BASE_URL: kling.url })
  const client = clientOf(server, customer.key)
  await disk.fill(3 * megabyte)
  const model = 'kling/kling-omni-o1/text-to-video'
  const jobId = await client.submit({ model, input: { prompt: 'A lake.', duration: '5' } })
  await until(() => server.log.find(({ msg, jobId: id }) => msg === 'output not stored' && id === jobId))
  assert.equal((await client.get(jobId)).status, 'processing')
  await disk.empty()
  const job = await client.ended(jobId)
  assert.equal(job.status, 'completed', JSON.stringify(job.error))
  assert.ok(Buffer.from(await (await fetch(job.output)).bytes()).equals(film))
  assert.deepEqual(await transfersOf(database.pool, jobId), { charges: 1, refunds: 0 })
  assert.equal(kling.tasks.size, 1)
  assert.deepEqual(await ledgerProblems(database.pool), [])
  assert.deepEqual(
    (await readdir(join(disk.path, 'tmp'))).filter((name) => name.startsWith(jobId)),
    [],
  )
})

test("with PostgreSQL's own disk full nothing is lost or charged twice, and what was taken ends", async (t) => {
  const disk = await mountSmallDisk(t, 400)
  if (disk === undefined) return
  const settings = { FILMGATE_DATA_DIR: disk.path, FILMGATE_MIN_FREE_DISK: '0MB' }
  const server = await startLogged(settings)
  const log = pino({ level: 'silent' })
  const database = await openDatabase({ dataDir: disk.path, databaseUrl: undefined }, 'command', log)
  atEnd(database.close)
  const { pool } = database
  const customer = await makeCustomer(pool, { microCents: 1_000_000_000n })
  const client = clientOf(server, customer.key)
  const seed = seedBody(textToVideo)
  const failing = { ...seed, input: { ...seed.input, prompt: 'A lake [sandbox:fail GENERATION_FAILED]' } }
  const taken = [await client.submit(seed)]
  await disk.fill(0)
  const answers = { taken: 0, refused: 0 }
  while (answers.refused < 5 && answers.taken < 300) {
    const answer = await client.post('/v1/jobs/submit', failing)
    const body = await answer.json()
    if (answer.status === 200) taken.push(body.jobId)
    else assert.deepEqual([answer.status, body.error.code], [503, 'PUBSUB_PUBLISH_FAILED'])
    answers[answer.status === 200 ? 'taken' : 'refused']++
  }
  assert.equal(answers.refused, 5)
  // its log can't grow any more: that ends it, and it can't start again
  const filling =
    "select pg_logical_emit_message(true, 'filmgate', repeat('x', 1000000)) from generate_series(1, 40)"
  await assert.rejects(pool.query(filling))
  await until(() => server.log.find(({ msg }) => /lost the embedded PostgreSQL; bringing it back/.test(msg)))
  assert.equal((await client.post('/v1/jobs/submit', failing)).status, 503)
  await disk.empty()
  await until(async () => (await fetch(`${server.url}/health/ready`)).status === 200)
  for (const jobId of taken) {
    const job = await client.ended(jobId)
    const isFirst = jobId === taken[0]
    assert.equal(job.status, isFirst ? 'completed' : 'failed', JSON.stringify(job))
    assert.deepEqual(await transfersOf(pool, jobId), { charges: 1, refunds: isFirst ? 0 : 1 })
  }
  const { rows } = await pool.query('select count(*)::int as jobs from jobs')
  assert.equal(rows[0].jobs, taken.length)
  assert.equal(await balanceOf(pool, customer.accountId), 1_000_000_000n - 420_000n)
  assert.deepEqual(await ledgerProblems(pool), [])
  assert.equal(await server.stop(), 0)
})

/** A film that plays, of so many bytes. */
async function padded(bytes: number): Promise<Buffer<ArrayBuffer>> {
  const film = await fileOf(0)
  const box = Buffer.alloc(bytes - film.length, 7)
  box.writeUInt32BE(box.length, 0)
  box.write('free', 4)
  return Buffer.concat([film, box])
}
