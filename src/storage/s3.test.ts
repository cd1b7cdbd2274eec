import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { atEnd } from '../../test/at-end.ts'
import { type Meddle, s3Error, startS3Server } from '../../test/s3-server.ts'
import { until } from '../../test/until.ts'
import { ConfigError, type S3Settings } from '../config.ts'
import { createS3Storage } from './s3.ts'
import { type S3Limits, usualLimits } from './s3-client.ts'
import { StorageError } from './storage.ts'

const server = await startS3Server()
atEnd(server.stop)
const short: S3Limits = { connectMs: 1_000, answerMs: 500, callMs: 2_000, silenceMs: 300 }

async function newStorage(t: TestContext, limits: S3Limits = usualLimits) {
  const folder = await mkdtemp(join(tmpdir(), 'filmgate-s3-'))
  const settings = await server.newBucket()
  const storage = await createS3Storage(settings, { temporaryDirectory: folder, limits })
  t.after(async () => {
    server.meddle = () => false
    storage.close()
    await rm(folder, { recursive: true })
  })
  return { settings, storage, folder, openUploads: () => server.openUploads(settings.bucket) }
}

const small = () => Readable.from([Buffer.from('0123456789')])
const large = () => Readable.from(Array.from({ length: 20 }, (_, index) => Buffer.alloc(1_000_000, index)))
const isPart: Meddle = ({ url = '' }) => url.includes('partNumber=')

/** Does this for the first few requests that match, and leaves the others alone. */
function firstFew(count: number, meddle: Meddle): Meddle {
  let left = count
  return (request, response) => {
    if (left === 0) return false
    const meddled = meddle(request, response)
    if (meddled !== false) left -= 1
    return meddled
  }
}

test('throttled and failed requests are tried again, in whole puts, parts, reads and lists', async (t) => {
  const { storage, openUploads } = await newStorage(t)
  for (const ask of [
    () => storage.put('a', small()),
    () => storage.put('b', large()),
    () => storage.stat('a'),
    () => storage.withLocalFile('a', async () => {}),
    () => Array.fromAsync(storage.list('')),
    () => storage.remove('c'),
  ]) {
    server.meddle = firstFew(1, (_, response) => s3Error(response, 503, 'SlowDown'))
    await ask()
  }
  server.meddle = firstFew(
    2,
    (request, response) => isPart(request, response) && s3Error(response, 500, 'InternalError'),
  )
  await storage.put('b', large())
  assert.equal((await storage.stat('b'))?.bytes, 20_000_000)
  assert.equal(openUploads(), 0)
})

test('a connection that is cut while a part is sent is taken up again', async (t) => {
  const { storage } = await newStorage(t)
  server.meddle = firstFew(2, (request, response) => {
    if (!isPart(request, response)) return false
    request.once('data', () => request.destroy())
    return true
  })
  await storage.put('a', large())
  assert.equal((await storage.stat('a'))?.bytes, 20_000_000)
})

test('a put whose parts are refused for good fails at once, although its source waits, and leaves nothing', async (t) => {
  const { storage, openUploads } = await newStorage(t)
  server.meddle = (request, response) =>
    isPart(request, response) && s3Error(response, 400, 'InvalidArgument')
  const waiting = new Readable({ read() {} })
  waiting.push(Buffer.alloc(9_000_000))
  await assert.rejects(storage.put('a', waiting), { code: 'UNAVAILABLE' })
  assert.equal(waiting.destroyed, true)
  assert.equal(openUploads(), 0)
  assert.equal(await storage.stat('a'), undefined)
})

test('a put whose last answer was lost is done, as the object is there', async (t) => {
  const { storage, openUploads } = await newStorage(t)
  server.meddle = firstFew(1, ({ method, url = '' }) =>
    method === 'POST' && url.includes('uploadId=') ? 'lose the answer' : false,
  )
  assert.equal((await storage.put('a', large())).bytes, 20_000_000)
  assert.equal((await storage.stat('a'))?.bytes, 20_000_000)
  assert.equal(openUploads(), 0)
})

test('an error in an answer of status 200 is one: the old object stays, and nothing is left behind', async (t) => {
  const { storage, openUploads } = await newStorage(t)
  await storage.put('a', small())
  server.meddle = ({ method, url = '' }, response) =>
    method === 'POST' && url.includes('uploadId=') && s3Error(response, 200, 'InternalError')
  await assert.rejects(storage.put('a', large()), { code: 'UNAVAILABLE' })
  assert.equal((await storage.stat('a'))?.bytes, 10)
  assert.equal(openUploads(), 0)
})

test('a store that is full has the code of a full disk', async (t) => {
  const { storage } = await newStorage(t)
  for (const [status, code] of [
    [507, 'InsufficientStorage'],
    [403, 'QuotaExceeded'],
  ] as const) {
    server.meddle = (_, response) => s3Error(response, status, code)
    await assert.rejects(storage.put('a', small()), { code: 'NO_SPACE' })
  }
})

test('a store that never answers holds nothing up for ever', async (t) => {
  const { storage } = await newStorage(t, short)
  server.meddle = () => true
  const asked = await Promise.allSettled([
    storage.put('a', small()),
    storage.put('b', large()),
    storage.open('a'),
    storage.stat('a'),
    storage.remove('a'),
    Array.fromAsync(storage.list('')),
    storage.ready(),
  ])
  for (const outcome of asked) {
    assert.ok(outcome.status === 'rejected' && outcome.reason instanceof StorageError)
    assert.equal(outcome.reason.code, 'UNAVAILABLE')
    assert.match(outcome.reason.message, /no answer in time/)
  }
})

const sends =
  (head: Record<string, string>, body: Buffer, status = 200): Meddle =>
  ({ method }, response) => {
    if (method !== 'GET') return false
    response.writeHead(status, head)
    if (Number(head['content-length']) > body.length) response.write(body)
    else response.end(body)
    return true
  }

test('a file that falls silent or is cut off half way ends in an error, and no half of it is lent', async (t) => {
  const { storage, folder } = await newStorage(t, short)
  const half = Buffer.alloc(500_000)
  const silent = sends({ 'content-length': '1000000' }, half)
  const cut: Meddle = (request, response) => {
    if (silent(request, response) === false) return false
    response.end(() => response.destroy())
    return true
  }
  for (const [meddle, reason] of [
    [silent, /fell silent/],
    [cut, /was cut/],
  ] as const) {
    server.meddle = meddle
    const found = await storage.open('a')
    assert.equal(found?.bytes, 1_000_000)
    await assert.rejects(buffer(found.stream), { code: 'UNAVAILABLE', message: reason })
    const lent = storage.withLocalFile('a', async () => assert.fail('lent'))
    await assert.rejects(lent, { code: 'UNAVAILABLE' })
  }
  assert.deepEqual(await readdir(folder), [])
})

test('a reader that takes its time is not cut off', async (t) => {
  const { storage } = await newStorage(t, { ...usualLimits, silenceMs: 700 })
  await storage.put('a', large())
  const found = await storage.open('a')
  const started = performance.now()
  await until(() => performance.now() - started > 1_500)
  assert.equal((await buffer(found!.stream)).length, 20_000_000)
})

test('a reader who goes away lets the connection go', async (t) => {
  const { storage } = await newStorage(t)
  const isOver = Promise.withResolvers<void>()
  server.meddle = (request, response) => {
    response.on('close', isOver.resolve)
    return sends({ 'content-length': '1000000' }, Buffer.alloc(1000))(request, response)
  }
  const found = await storage.open('a')
  found?.stream.destroy()
  await isOver.promise
})

test('an answer that is not what was asked for is not believed', async (t) => {
  const { storage } = await newStorage(t)
  const bytes = Buffer.alloc(10)
  for (const meddle of [
    sends({ 'content-length': '10' }, bytes),
    sends({ 'content-length': '10', 'content-range': 'bytes 0-9/10' }, bytes, 206),
    sends({ 'content-length': '3', 'content-range': 'bytes 2-4/*' }, bytes.subarray(3), 206),
    sends({ 'content-length': '9', 'content-range': 'bytes 2-9/10' }, bytes.subarray(1), 206),
  ]) {
    server.meddle = meddle
    await assert.rejects(storage.open('a', { start: 2, end: 4 }), { code: 'UNAVAILABLE' })
  }
  server.meddle = sends({ 'transfer-encoding': 'chunked' }, bytes)
  await assert.rejects(storage.open('a'), { code: 'UNAVAILABLE', message: /no size/ })
})

test('a list that goes in a circle ends, and what is not ours is not listed', async (t) => {
  const { storage } = await newStorage(t)
  const page = (keys: string[], next = '') => {
    const contents = keys.map((key) => `<Contents><Key>${key}</Key></Contents>`).join('')
    const token =
      next && `<IsTruncated>true</IsTruncated><NextContinuationToken>${next}</NextContinuationToken>`
    return Buffer.from(`<?xml version="1.0"?><ListBucketResult>${contents}${token}</ListBucketResult>`)
  }
  const answering = (body: Buffer) => sends({ 'content-length': String(body.length) }, body)
  server.meddle = answering(page(['a', '../b', 'A', '.ready', 'c/d']))
  assert.deepEqual(await Array.fromAsync(storage.list('')), ['a', 'c/d'])
  server.meddle = answering(page(['a'], 'again'))
  await assert.rejects(Array.fromAsync(storage.list('')), { code: 'UNAVAILABLE' })
})

test('a refusal is told apart from a fault, and repeats neither keys nor what was signed', async (t) => {
  const { storage, settings } = await newStorage(t)
  for (const [status, code] of [
    [403, 'SignatureDoesNotMatch'],
    [403, 'AccessDenied'],
    [404, 'NoSuchBucket'],
  ] as const) {
    server.meddle = (_, response) => s3Error(response, status, code)
    await assert.rejects(storage.put('a', small()), (error: Error) => {
      assert.ok(error instanceof StorageError && error.code === 'REFUSED')
      assert.match(error.message, new RegExp(`${code}, status ${status}`))
      const everything = inspect(error, { depth: 10, showHidden: true })
      for (const secret of [settings.accessKeyId, settings.secretAccessKey, 'what was signed']) {
        assert.ok(!everything.includes(secret), everything)
      }
      return true
    })
  }
})

test('a store that is gone is unavailable, and then there again', async (t) => {
  const { storage } = await newStorage(t)
  await storage.put('a', small())
  server.meddle = (request) => {
    request.socket.destroy()
    return true
  }
  for (const ask of [() => storage.ready(), () => storage.open('a'), () => storage.put('b', large())]) {
    await assert.rejects(ask(), { code: 'UNAVAILABLE' })
  }
  server.meddle = () => false
  await storage.ready()
  assert.equal((await storage.stat('a'))?.bytes, 10)
})

test('a start that cannot work names the setting in one line, without the secrets', async () => {
  const settings = await server.newBucket()
  const wrong: [RegExp, Partial<S3Settings>, Meddle?][] = [
    [/^S3_BUCKET is "absent"/, { bucket: 'absent' }],
    [
      /^S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are refused .*InvalidAccessKeyId/,
      { accessKeyId: 'unknown' },
    ],
    [
      /^S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are refused .*SignatureDoesNotMatch/,
      { secretAccessKey: 'x' },
    ],
    [/^S3_ACCESS_KEY_ID .*AccessDenied/, {}, (_, response) => s3Error(response, 403, 'AccessDenied')],
    [
      /^S3_REGION is "us-east-1"/,
      {},
      (_, response) => s3Error(response, 400, 'AuthorizationHeaderMalformed'),
    ],
    [/^S3_ENDPOINT is .* cannot be reached \(ECONNREFUSED\)/, { endpoint: 'http://127.0.0.1:1' }],
    [
      /^S3_ENDPOINT is .* answers with no S3 answer, status 400/,
      {},
      (_, response) => Boolean(response.writeHead(400).end('<html>')),
    ],
  ]
  for (const [message, changes, meddle = () => false] of wrong) {
    server.meddle = meddle
    await assert.rejects(
      createS3Storage({ ...settings, ...changes }, { temporaryDirectory: tmpdir() }),
      (error: Error) => {
        assert.ok(error instanceof ConfigError)
        assert.match(error.message, message)
        assert.doesNotMatch(error.message, /\n|filmgate-secret|filmgate-key/)
        return true
      },
    )
  }
})

test("requests are signed by the clock that is given, and then by the store's where that is another", async () => {
  const hourMs = 3_600_000
  const aheadMs: number[] = []
  server.meddle = ({ headers }, response) => {
    const text = String(headers['x-amz-date'])
    const signedAt = text.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z')
    aheadMs.push(Date.parse(signedAt) - Date.now())
    // as a store refuses what is a quarter of an hour off
    return Math.abs(aheadMs.at(-1)!) > hourMs / 4 && s3Error(response, 403, 'RequestTimeTooSkewed')
  }
  const settings = await server.newBucket()
  for (const behindMs of [0, 48 * hourMs]) {
    const clock = { now: () => new Date(Date.now() - behindMs), offsetMs: () => behindMs }
    aheadMs.length = 0
    const storage = await createS3Storage(settings, { temporaryDirectory: tmpdir(), clock })
    await storage.stat('nothing')
    storage.close()
    assert.ok(Math.abs(aheadMs[0]! + behindMs) < 60_000, String(aheadMs))
    assert.ok(Math.abs(aheadMs.at(-1)!) < 60_000, String(aheadMs))
  }
  server.meddle = () => false
})
