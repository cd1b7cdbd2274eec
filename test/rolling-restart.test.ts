import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { json } from 'node:stream/consumers'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCanvas } from '@napi-rs/canvas'
import { atEnd } from './at-end.ts'
import { cloneDatabase, ledgerProblems, makeCustomer, transfersOf } from './database.ts'
import { startS3Server } from './s3-server.ts'
import { until } from './until.ts'

const origin = 'https://films.example.com'
const { pool, url: databaseUrl } = await cloneDatabase()
const store = await startS3Server()
atEnd(store.stop)
const s3 = await store.newBucket()
const { key } = await makeCustomer(pool, { microCents: 1_000_000_000n })

interface Process {
  role: 'api' | 'worker'
  /** Of an api. */
  url: string
  child: ChildProcess
}

/** A server as an operator starts it, on a machine of its own: it shares database and store with the others, no disk. */
async function start(role: Process['role']): Promise<Process> {
  const dataDir = await mkdtemp(join(tmpdir(), 'filmgate-rolling-'))
  atEnd(() => rm(dataDir, { recursive: true, force: true }))
  const child = spawn(process.execPath, ['src/main.ts', 'serve', '--port', '0', '--role', role], {
    cwd: join(import.meta.dirname, '..'),
    env: {
      ...process.env,
      FILMGATE_LOG_LEVEL: 'error',
      FILMGATE_DATA_DIR: dataDir,
      DATABASE_URL: databaseUrl,
      PUBLIC_URL: origin,
      S3_ENDPOINT: s3.endpoint,
      S3_REGION: s3.region,
      S3_BUCKET: s3.bucket,
      S3_ACCESS_KEY_ID: s3.accessKeyId,
      S3_SECRET_ACCESS_KEY: s3.secretAccessKey,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  atEnd(() => child.kill('SIGKILL'))
  for await (const line of createInterface(child.stdout)) {
    const url = /^filmgate ready on (.+)$/.exec(line)?.[1]
    if (url !== undefined) return { role, url, child }
  }
  throw new Error('the server did not start')
}

const processes = await Promise.all((['api', 'api', 'worker', 'worker'] as const).map(start))
const apis = () => processes.filter(({ role }) => role === 'api')

function headersFor(body: string, more: Record<string, string> = {}) {
  // a connection for each request: one that is kept may be closed by either side while the other sends
  return {
    'x-api-key': key,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
    ...more,
  }
}

interface Answer {
  status: number | undefined
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
  body: any
}

async function answerOf(request: ClientRequest): Promise<Answer> {
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return { status: response.statusCode, body: await json(response) }
}

async function call(method: string, path: string, body = '', more = {}): Promise<Answer> {
  const [{ url }] = apis() as [Process]
  const request = httpRequest(url + path, { method, headers: headersFor(body, more) })
  request.end(body)
  return answerOf(request)
}

let turn = 0
const order = () => ({
  model: 'bytedance-plus/seedream-v5-lite/text-to-image',
  input: { prompt: `Order ${++turn}`, resolution: '1K', aspect_ratio: '1:1' },
})

/**
 * Submits as a client behind a balancer does: whom a server that goes away leaves without an answer, it asks the other,
 * with the same Idempotency-Key.
 */
async function submit(): Promise<string> {
  const body = JSON.stringify(order())
  const headers = headersFor(body, { 'idempotency-key': `order-${turn}` })
  for (let attempt = turn; attempt < turn + 200; attempt++) {
    const all = apis()
    const { url } = all[attempt % all.length]!
    const request = httpRequest(`${url}/v1/jobs/submit`, { method: 'POST', headers })
    request.end(body)
    const answer = await answerOf(request).catch(() => undefined)
    if (answer?.status === 200) return answer.body.jobId
    assert.equal(answer, undefined, JSON.stringify(answer))
    await sleep(50)
  }
  throw new Error('no server took the job')
}

/** A submit of which a server has the head and half of the body. */
async function beginSubmit({ url }: Process) {
  const body = JSON.stringify(order())
  const request = httpRequest(`${url}/v1/jobs/submit`, {
    method: 'POST',
    headers: headersFor(body, { expect: '100-continue' }),
  })
  const answer = answerOf(request)
  request.flushHeaders()
  await Promise.race([once(request, 'continue'), answer])
  request.write(body.slice(0, 20))
  return async () => {
    request.end(body.slice(20))
    const { status, body: told } = await answer
    assert.equal(status, 200, JSON.stringify(told))
    return told.jobId as string
  }
}

async function refusesConnections({ url }: Process): Promise<boolean> {
  const request = httpRequest(`${url}/health/live`, { headers: { connection: 'close' } })
  request.end()
  return answerOf(request).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED',
  )
}

test('a job of a machine that only serves is done by one that only works, from an upload, and served by any', async () => {
  const picture = createCanvas(400, 400).toBuffer('image/png')
  const asked = JSON.stringify({ filename: 'cat.png', contentType: 'image/png' })
  const { body: presigned } = await call('POST', '/v1/uploads/presign', asked)
  const put = await fetch(presigned.data.uploadUrl.replace(origin, apis()[0]!.url), {
    method: 'PUT',
    headers: { 'content-type': 'image/png' },
    body: new Uint8Array(picture),
  })
  assert.equal(put.status, 200)
  const input = {
    prompt: 'Winter',
    resolution: '1K',
    aspect_ratio: '1:1',
    image_urls: [presigned.data.fileUrl],
  }
  const body = JSON.stringify({ model: 'bytedance-plus/seedream-v5-lite/image-to-image', input })
  const { body: submitted } = await call('POST', '/v1/jobs/submit', body)
  const job = await until(async () => {
    const { body: found } = await call('GET', `/v1/jobs/${submitted.jobId}`)
    return found.completedAt !== null && found
  })
  assert.equal(job.status, 'completed', JSON.stringify(job))
  for (const { url } of apis()) {
    const answer = await fetch(job.output.replace(origin, url))
    assert.equal(answer.headers.get('content-type'), 'image/jpeg')
    await answer.bytes()
  }
})

test('servers and workers restarted in turn under load: no request is cut, each job done once and charged once', async () => {
  const accepted: Promise<string>[] = []
  let isOver = false
  const load = async () => {
    while (!isOver) {
      const submitted = submit()
      accepted.push(submitted)
      await submitted
      await sleep(1_000)
    }
  }
  const clients = [load(), load()]
  for (const [index, leaving] of processes.entries()) {
    const finish = leaving.role === 'api' ? await beginSubmit(leaving) : undefined
    const exited = once(leaving.child, 'exit')
    leaving.child.kill('SIGTERM')
    if (finish) {
      await until(() => refusesConnections(leaving))
      accepted.push(finish())
    }
    assert.deepEqual(await exited, [0, null], `${leaving.role} ${index}`)
    processes[index] = await start(leaving.role)
  }
  isOver = true
  await Promise.all(clients)

  const jobIds = await Promise.all(accepted)
  assert.equal(new Set(jobIds).size, jobIds.length)
  await until(async () => {
    const { rowCount } = await pool.query("select from jobs where status in ('pending', 'processing')")
    return rowCount === 0
  })
  const { rows } = await pool.query<{ id: string; status: string; attempts: string[] }>(
    `select j.id, j.status, array_agg(a.status::text) as attempts
     from jobs j left join attempts a on a.job_id = j.id where j.id = any($1) group by j.id`,
    [jobIds],
  )
  assert.equal(rows.length, jobIds.length)
  for (const { id, status, attempts } of rows) {
    assert.deepEqual({ id, status, attempts }, { id, status: 'completed', attempts: ['accepted'] })
    assert.deepEqual(await transfersOf(pool, id), { charges: 1, refunds: 0 })
  }
  assert.deepEqual(await ledgerProblems(pool), [])
})
