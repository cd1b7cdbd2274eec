import assert from 'node:assert/strict'
import { mkdtemp } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pino } from 'pino'
import { loadConfig } from '../src/config.ts'
import { serve } from '../src/serve.ts'
import { StorageError } from '../src/storage/storage.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'

const database = await cloneDatabase()
const customer = await makeCustomer(database.pool)
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)

/** A server whose log the test reads. */
async function startLogged() {
  const lines: { level: number; msg: string; status?: number; err?: object }[] = []
  const log = pino({ level: 'debug', base: null }, { write: (line) => void lines.push(JSON.parse(line)) })
  const config = loadConfig({
    PORT: '0',
    DATABASE_URL: database.url,
    FILMGATE_DATA_DIR: await mkdtemp(join(tmpdir(), 'filmgate-hang-up-')),
  })
  const server = await serve({ ...config, role: 'api' }, log, () => {})
  atEnd(server.stop)
  return { lines, url: server.url! }
}

/** Sends the beginning of a request, and breaks the connection off in the middle: by a reset, or by its end. */
async function breakOff(url: string, head: string, how: 'reset' | 'end'): Promise<void> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => {})
  await new Promise<void>((resolve) => socket.write(head, () => resolve()))
  // the server has begun to read
  await new Promise((resolve) => setTimeout(resolve, 50))
  if (how === 'reset') socket.resetAndDestroy()
  else socket.destroy()
}

test('a client that hangs up in the middle of its request is no trouble of ours in the log', async () => {
  const { lines, url } = await startLogged()
  const call = async (path: string, body: object) => {
    const headers = { authorization: `Bearer ${customer.key}`, 'content-type': 'application/json' }
    const answer = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    return (await answer.json()) as { data: { uploadUrl: string } }
  }
  const upload = await call('/v1/uploads/presign', { filename: 'a.png', contentType: 'image/png' })
  const { pathname, search } = new URL(upload.data.uploadUrl)
  const key = `Authorization: Bearer ${customer.key}\r\n`
  const json = 'Host: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n'
  const heads = [
    `POST /v1/jobs/submit HTTP/1.1\r\n${key}${json}\r\n{"model"`,
    `POST /v1/jobs/estimate HTTP/1.1\r\n${key}${json}\r\n{`,
    `POST /callbacks/sandbox/job_1.x HTTP/1.1\r\n${json}\r\n{`,
    `PUT ${pathname}${search} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 90000\r\n\r\n${png.toString('latin1')}`,
    'GET /v1/jo',
  ]
  for (const head of heads) for (const how of ['reset', 'end'] as const) await breakOff(url, head, how)
  await fetch(`${url}/health/live`)
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.deepEqual(
    lines.filter(({ level }) => level >= 40),
    [],
  )
})

test('a storage that is away is told as SERVICE_UNAVAILABLE, by reads and by uploads', async () => {
  let trouble: StorageError['code'] = 'UNAVAILABLE'
  const fail = async () => {
    throw new StorageError(trouble, 'the S3 store could not be reached at s3.inner.example')
  }
  const gateway = await startGateway({
    databaseUrl: database.url,
    role: 'api',
    wrapStorage: (storage) => ({ ...storage, put: fail, open: fail, stat: fail }),
  })
  const { body } = await gateway.call('POST', '/v1/uploads/presign', {
    key: customer.key,
    body: { filename: 'a.png', contentType: 'image/png' },
  })
  for (trouble of ['UNAVAILABLE', 'REFUSED', 'NO_SPACE'] as const) {
    const put = await gateway.call('PUT', body.data.uploadUrl, {
      body: png,
      headers: { 'content-type': 'image/png' },
    })
    const read = await gateway.call('GET', body.data.fileUrl)
    for (const answer of [put, read]) {
      assert.deepEqual([answer.status, answer.body.error.code], [503, 'SERVICE_UNAVAILABLE'])
      assert.equal(answer.headers.get('retry-after'), '5')
      assert.doesNotMatch(JSON.stringify(answer.body), /S3|inner/)
    }
  }
})
