import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { loadSigningSecret } from '../src/signing-secret.ts'
import { signUrl } from '../src/storage/signed-url.ts'
import { uploadTypes } from '../src/uploads/types.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { until } from './until.ts'

const database = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
const customer = await makeCustomer(database.pool)

const mebibyte = 1_048_576
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)
// the first bytes are all that is looked at
const beginnings: Record<string, Buffer> = {
  'image/jpeg': Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46, 0x49, 0x46, 0]),
  'image/png': png,
  'image/webp': Buffer.from('RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0', 'latin1'),
  'image/gif': Buffer.from('GIF89a\x01\0\x01\0\0\0\0;', 'latin1'),
  'video/mp4': Buffer.from('\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41', 'latin1'),
  'video/webm': Buffer.from('1a45dfa39f4286810142f7810142f2810442f381084282847765626d', 'hex'),
  'audio/mpeg': Buffer.from('ID3\x03\0\0\0\0\0\0\xff\xfb\x90\0', 'latin1'),
  'audio/wav': Buffer.from('RIFF\x24\0\0\0WAVEfmt \x10\0\0\0', 'latin1'),
  'image/avif': brands('avif', 'mif1'),
  'image/heic': brands('heic', 'mif1'),
  'image/heif': brands('mif1', 'heic'),
  'image/bmp': Buffer.from('BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0', 'latin1'),
  // its table of tags is at the end, which is not there yet
  'image/tiff': Buffer.from('II*\0\0\0\x10\0', 'latin1'),
  'video/quicktime': brands('qt  '),
  'video/x-m4v': brands('M4V ', 'isom'),
  'video/x-matroska': Buffer.from('1a45dfa3a34286810142f7810142f2810442f381084282886d6174726f736b61', 'hex'),
  'audio/mp4': brands('M4A ', 'isom'),
  'audio/aac': Buffer.from('fff15080017ffc', 'hex'),
  'audio/ogg': Buffer.from(`OggS\0\x02${'\0'.repeat(20)}\x01\x13OpusHead\x01\x02`, 'latin1'),
  'audio/flac': Buffer.from('fLaC\0\0\0\x22', 'latin1'),
}

function brands(...names: [string, ...string[]]): Buffer {
  const [first, ...others] = names
  const body = Buffer.from(
    `ftyp${first}\0\0\0\0${names.join('')}${others.length > 0 ? '' : 'isom'}`,
    'latin1',
  )
  const head = Buffer.alloc(4)
  head.writeUInt32BE(body.length + 4)
  return Buffer.concat([head, body])
}

const presign = async (contentType = 'image/png', filename = 'cat.png') => {
  const { status, body } = await gateway.call('POST', '/v1/uploads/presign', {
    key: customer.key,
    body: { filename, contentType },
  })
  assert.equal(status, 200, JSON.stringify(body))
  return body.data as Record<'uploadUrl' | 'fileUrl' | 'fileId' | 'expiresAt', string> & { maxSize: number }
}
const put = (url: string, body: Uint8Array, contentType = 'image/png') =>
  gateway.call('PUT', url, { body, headers: { 'content-type': contentType } })
const storedFiles = async () => {
  const names = await readdir(join(gateway.dataDir, 'files'), { recursive: true, withFileTypes: true })
  return names.filter((entry) => entry.isFile()).map((entry) => entry.name)
}

/** Refused in the documented form, without a word on paths or SQL, and nothing was stored under its id. */
async function assertRefused(
  answer: Awaited<ReturnType<typeof put>>,
  status: number,
  code: string,
  fileId?: string,
) {
  assert.equal(answer.status, status, JSON.stringify(answer.body))
  assert.equal(answer.body.success, false)
  assert.equal(answer.body.error.code, code)
  assert.equal(answer.body.requestId, answer.headers.get('x-request-id'))
  const text = JSON.stringify(answer.body)
  assert.doesNotMatch(text, /\/tmp|node_modules|\.ts\b|select |insert |update |relation|syntax|ENOENT/i)
  const files = await storedFiles()
  if (fileId !== undefined)
    assert.deepEqual(
      files.filter((name) => name.includes(fileId)),
      [],
    )
  assert.deepEqual(
    await readdir(join(gateway.dataDir, 'files', '.parts')),
    [],
    'a part of a file was left behind',
  )
}

for (const [contentType, { maxBytes, extension }] of Object.entries(uploadTypes)) {
  test(`${contentType} can be presigned, put and read back byte for byte`, async () => {
    const most = contentType.startsWith('image/') ? 10 : contentType.startsWith('video/') ? 100 : 50
    const before = Date.now()
    const upload = await presign(contentType, `a file.${extension}`)
    assert.equal(upload.maxSize, most * mebibyte)
    assert.equal(maxBytes, upload.maxSize)
    const lifeMs = new Date(upload.expiresAt).getTime() - before
    assert.ok(lifeMs >= 3_600_000 && lifeMs < 3_660_000, String(lifeMs))
    const bytes = Buffer.concat([beginnings[contentType]!, Buffer.alloc(20_000, 'filmgate')])
    assert.deepEqual((await put(upload.uploadUrl, bytes, contentType)).body.data, {
      id: upload.fileId,
      bytes: bytes.length,
    })
    const read = await fetch(upload.fileUrl)
    assert.equal(read.status, 200)
    assert.equal(read.headers.get('content-type'), contentType)
    assert.equal(read.headers.get('x-content-type-options'), 'nosniff')
    assert.deepEqual(Buffer.from(await read.arrayBuffer()), bytes)
  })
}

test('a type goes by its usual other names, in any case and with parameters', async () => {
  for (const [named, type] of [
    ['IMAGE/PNG', 'image/png'],
    ['image/png; q=1', 'image/png'],
    ['image/jpg', 'image/jpeg'],
    ['image/x-ms-bmp', 'image/bmp'],
    ['video/mkv', 'video/x-matroska'],
    ['audio/x-m4a', 'audio/mp4'],
    ['audio/ogg; codecs=opus', 'audio/ogg'],
  ] as const) {
    const upload = await presign(named, 'x')
    assert.equal((await put(upload.uploadUrl, beginnings[type]!, named)).status, 200, named)
    assert.equal((await fetch(upload.fileUrl)).headers.get('content-type'), type)
  }
})

test('a file may be of another type of its container than was said, as phones rename them', async () => {
  const film = await presign('video/mp4')
  assert.equal((await put(film.uploadUrl, beginnings['video/quicktime']!, 'video/mp4')).status, 200)
  const picture = await presign('image/heif')
  assert.equal((await put(picture.uploadUrl, beginnings['image/heic']!, 'image/heif')).status, 200)
  const other = await presign('image/heic')
  const refused = await put(other.uploadUrl, beginnings['video/mp4']!, 'image/heic')
  await assertRefused(refused, 400, 'INVALID_CONTENT_TYPE', other.fileId)
})

test('the answer of a presign has the documented fields', async () => {
  const { body } = await gateway.call('POST', '/v1/uploads/presign', {
    key: customer.key,
    body: { filename: 'cat.png', contentType: 'image/png' },
  })
  assert.deepEqual(Object.keys(body).sort(), ['data', 'requestId', 'success'])
  assert.deepEqual(Object.keys(body.data).sort(), ['expiresAt', 'fileId', 'fileUrl', 'maxSize', 'uploadUrl'])
  assert.match(body.data.fileId, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
})

test('a type that is not taken is refused, with those that are', async () => {
  for (const contentType of [
    'image/svg+xml',
    'text/html',
    '',
    'constructor',
    'image/png, image/jpeg',
    `image/${'x'.repeat(3_000)}`,
    'image/svg+xml; charset=utf-8',
  ]) {
    const answer = await gateway.call('POST', '/v1/uploads/presign', {
      key: customer.key,
      body: { filename: 'x', contentType },
    })
    await assertRefused(answer, 400, 'INVALID_CONTENT_TYPE')
    assert.match(answer.body.error.message, /image\/jpeg, image\/png/)
  }
})

test('a malformed presign is refused', async () => {
  for (const body of [
    {},
    { filename: 'x' },
    { filename: '', contentType: 'image/png' },
    { filename: 'x'.repeat(256), contentType: 'image/png' },
    { filename: 'a\0b', contentType: 'image/png' },
    { filename: 7, contentType: 'image/png' },
    { filename: 'x', contentType: 'image/png', size: 3 },
  ]) {
    const answer = await gateway.call('POST', '/v1/uploads/presign', { key: customer.key, body })
    await assertRefused(answer, 400, 'VALIDATION_ERROR')
  }
})

test('a presign beyond what an account may upload is refused, with when to try again', async () => {
  const { userId, key } = await makeCustomer(database.pool)
  await database.pool.query(
    `insert into uploads (id, user_id, filename, content_type, created_at, put_expires_at, expires_at)
     select gen_random_uuid(), $1, 'x', 'image/png', now(), now(), now() from generate_series(1, 1000)`,
    [userId],
  )
  const body = { filename: 'x', contentType: 'image/png' }
  const answer = await gateway.call('POST', '/v1/uploads/presign', { key, body })
  await assertRefused(answer, 429, 'RATE_LIMIT_EXCEEDED')
  assert.match(answer.body.error.message, /1000 files an hour/)
  const retryAfter = Number(answer.headers.get('retry-after'))
  assert.equal(answer.body.error.details.retryAfter, retryAfter)
  assert.ok(retryAfter > 3_500 && retryAfter <= 3_601, String(retryAfter))
  await presign()
})

test('a filename is only a name: it reaches no path', async () => {
  const upload = await presign('image/png', '../../../etc/passwd')
  await put(upload.uploadUrl, png)
  assert.ok((await storedFiles()).includes(`${upload.fileId}.png`))
  assert.ok(!upload.fileUrl.includes('passwd'))
})

test('a type is presigned and put in any case, with parameters and by its usual other names', async () => {
  const { body } = await gateway.call('POST', '/v1/uploads/presign', {
    key: customer.key,
    body: { filename: 'x.png', contentType: 'Image/X-PNG; a=b' },
  })
  const { uploadUrl, fileId, maxSize } = body.data
  assert.equal(maxSize, uploadTypes['image/png']!.maxBytes)
  const sent = await put(uploadUrl, png, 'IMAGE/png;charset=binary')
  assert.equal(sent.status, 200, JSON.stringify(sent.body))
  const found = await gateway.call('GET', `/v1/uploads/${fileId}`, { key: customer.key })
  assert.equal(found.body.data.contentType, 'image/png')
})

test('a PUT with another Content-Type, or none, is refused', async () => {
  const { uploadUrl, fileId } = await presign()
  await assertRefused(await put(uploadUrl, png, 'image/jpeg'), 400, 'INVALID_CONTENT_TYPE', fileId)
  await assertRefused(await put(uploadUrl, png, 'application/json'), 400, 'INVALID_CONTENT_TYPE', fileId)
  const none = await fetch(uploadUrl, { method: 'PUT', body: new Blob([png]) })
  assert.equal(none.status, 400)
})

test('bytes of another kind than presigned are refused, whatever their number', async () => {
  const { uploadUrl, fileId } = await presign()
  const jpeg = beginnings['image/jpeg']!
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.from('<svg onload="alert(1)"/>'),
    jpeg,
    png.subarray(0, 4),
    Buffer.concat([Buffer.from(' '), png]),
    Buffer.concat([jpeg, Buffer.alloc(3 * mebibyte)]),
  ]) {
    await assertRefused(await put(uploadUrl, bytes), 400, 'INVALID_CONTENT_TYPE', fileId)
  }
})

test('a file of exactly the most bytes is taken, one byte more is refused', async () => {
  const { uploadUrl, fileId, maxSize } = await presign()
  const bytes = Buffer.concat([png, Buffer.alloc(maxSize + 1 - png.length)])
  await assertRefused(await put(uploadUrl, bytes), 413, 'PAYLOAD_TOO_LARGE', fileId)
  assert.equal((await put(uploadUrl, bytes.subarray(0, maxSize))).status, 200)
})

test('a file without a Content-Length is cut off at the most bytes', async () => {
  const { uploadUrl, fileId, maxSize } = await presign()
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const sending = request(
    uploadUrl,
    { method: 'PUT', headers: { 'content-type': 'image/png' } },
    (answer) => {
      answer.toArray().then((parts) => {
        resolve({ status: answer.statusCode!, text: Buffer.concat(parts).toString() })
      }, reject)
    },
  )
  const chunk = Buffer.alloc(64 * 1024)
  async function* parts() {
    yield png
    for (let bytes = 0; bytes <= maxSize; bytes += chunk.length) yield chunk
  }
  await pipeline(Readable.from(parts()), sending)
  const { status, text } = await promise
  assert.equal(status, 413)
  assert.equal(JSON.parse(text).error.code, 'PAYLOAD_TOO_LARGE')
  assert.deepEqual(
    (await storedFiles()).filter((name) => name.includes(fileId)),
    [],
  )
})

test('no account can fill disk or memory by putting files many times at once', async () => {
  const { uploadUrl } = await presign()
  const sendEndlessly = () => {
    const sending = request(uploadUrl, { method: 'PUT', headers: { 'content-type': 'image/png' } })
    sending.on('error', () => {})
    sending.write(png)
    return sending
  }
  const endless = Array.from({ length: 20 }, sendEndlessly)
  const refused = await until(async () => {
    const answer = await put(uploadUrl, png)
    if (answer.status !== 200) return answer
    // the look takes a place for a moment, in which one of these may have been refused
    endless.push(sendEndlessly())
    return false
  })
  assert.deepEqual([refused.status, refused.body.error.code], [429, 'RATE_LIMIT_EXCEEDED'])
  assert.equal(refused.headers.get('retry-after'), '5')
  for (const sending of endless) sending.destroy()
  await until(async () => (await put(uploadUrl, png)).status === 200)
  await until(async () => (await readdir(join(gateway.dataDir, 'files', '.parts'))).length === 0)
})

test('after a refused file the connection serves the next request', async () => {
  const { uploadUrl } = await presign()
  const started = Date.now()
  for (let round = 0; round < 5; round++) {
    assert.equal((await put(uploadUrl, Buffer.alloc(mebibyte))).status, 400)
    assert.equal((await put(uploadUrl, png)).status, 200)
  }
  assert.ok(Date.now() - started < 10_000)
})

test('a URL that is forged, for another file or another method is refused', async () => {
  const [upload, other] = [await presign(), await presign()]
  const url = new URL(upload.uploadUrl)
  const changed = (change: (copy: URL) => void) => {
    const copy = new URL(url)
    change(copy)
    return copy.href
  }
  for (const forged of [
    changed((copy) => copy.searchParams.set('expires', String(Number(url.searchParams.get('expires')) + 60))),
    changed((copy) => copy.searchParams.set('signature', 'A'.repeat(43))),
    changed((copy) => copy.searchParams.delete('signature')),
    changed((copy) => copy.searchParams.append('expires', '9999999999')),
    changed((copy) => {
      copy.pathname = new URL(other.uploadUrl).pathname
    }),
    changed((copy) => {
      copy.search = new URL(upload.fileUrl).search
    }),
    changed((copy) => {
      copy.search = ''
    }),
  ]) {
    await assertRefused(await put(forged, png), 403, 'UNAUTHORIZED_ACCESS', upload.fileId)
  }
  assert.deepEqual(
    (await storedFiles()).filter((name) => name.includes(other.fileId)),
    [],
  )
})

test('a URL that has expired is refused, and says so', async () => {
  const secret = await loadSigningSecret(database.pool, gateway.dataDir)
  const { fileId } = await presign()
  const expired = { origin: gateway.url, expiresAt: new Date(Date.now() - 1_000), secret }
  const late = signUrl({ ...expired, path: `/v1/uploads/${fileId}`, method: 'PUT' })
  const answer = await put(late, png)
  await assertRefused(answer, 403, 'UNAUTHORIZED_ACCESS', fileId)
  assert.match(answer.body.error.message, /expired: presign a new one/)
  const read = await gateway.call('GET', signUrl({ ...expired, path: `/files/uploads/${fileId}.png` }))
  await assertRefused(read, 403, 'UNAUTHORIZED_ACCESS', fileId)
  assert.match(read.body.error.message, /expired/)
})

test('a file cannot be read by a changed link, nor by the link to put it', async () => {
  const upload = await presign()
  await put(upload.uploadUrl, png)
  const url = new URL(upload.fileUrl)
  for (const forged of [
    `${url.origin}${url.pathname}`,
    `${url.origin}${url.pathname}${new URL(upload.uploadUrl).search}`,
    `${url.origin}${url.pathname.replace('.png', '.jpg')}${url.search}`,
    `${url.origin}/files/../signing-secret${url.search}`,
    `${url.origin}/files/..%2fsigning-secret${url.search}`,
    `${url.origin}/files/%2e%2e%2fsigning-secret${url.search}`,
    `${url.origin}/files/%00${url.search}`,
    `${url.origin}/files/${url.search}`,
  ]) {
    const answer = await gateway.call('GET', forged)
    assert.ok([403, 404].includes(answer.status), `${forged}: ${answer.status}`)
    await assertRefused(answer, answer.status, answer.status === 403 ? 'UNAUTHORIZED_ACCESS' : 'NOT_FOUND')
  }
})

test('a file that was not put yet is not found', async () => {
  const { fileUrl, fileId } = await presign()
  await assertRefused(await gateway.call('GET', fileUrl), 404, 'NOT_FOUND', fileId)
})

test('a second PUT replaces the first, a refused one leaves it', async () => {
  const { uploadUrl, fileUrl } = await presign()
  await put(uploadUrl, png)
  const longer = Buffer.concat([png, Buffer.from('more')])
  assert.equal((await put(uploadUrl, longer)).status, 200)
  assert.equal((await put(uploadUrl, Buffer.from('not a picture'))).status, 400)
  assert.deepEqual(Buffer.from(await (await fetch(fileUrl)).arrayBuffer()), longer)
})

test('ranges are answered with exactly their bytes', async () => {
  const { uploadUrl, fileUrl } = await presign()
  await put(uploadUrl, png)
  const size = png.length
  for (const [range, start, end] of [
    ['bytes=0-0', 0, 0],
    ['bytes=10-19', 10, 19],
    ['bytes=10-', 10, size - 1],
    ['bytes=-5', size - 5, size - 1],
    ['bytes=0-99999', 0, size - 1],
    ['bytes=-99999', 0, size - 1],
  ] as const) {
    const answer = await fetch(fileUrl, { headers: { range } })
    assert.equal(answer.status, 206, range)
    assert.equal(answer.headers.get('content-range'), `bytes ${start}-${end}/${size}`)
    assert.equal(answer.headers.get('content-length'), String(end - start + 1))
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), png.subarray(start, end + 1))
  }
  for (const range of [`bytes=${size}-`, 'bytes=99999-100000', 'bytes=-0']) {
    const answer = await fetch(fileUrl, { headers: { range } })
    assert.equal(answer.status, 416, range)
    assert.equal(answer.headers.get('content-range'), `bytes */${size}`)
    const { error, requestId } = (await answer.json()) as { error: { code: string }; requestId: string }
    assert.deepEqual([error.code, requestId], ['VALIDATION_ERROR', answer.headers.get('x-request-id')])
  }
  for (const range of ['bytes=5-2', 'bytes=0-1,3-4', 'lines=0-1', 'bytes=-', 'bytes=a-b']) {
    const answer = await fetch(fileUrl, { headers: { range } })
    assert.equal(answer.status, 200, range)
    assert.deepEqual(Buffer.from(await answer.arrayBuffer()), png)
  }
})

test('HEAD answers as GET does, without the bytes', async () => {
  const { uploadUrl, fileUrl } = await presign()
  await put(uploadUrl, png)
  const answer = await fetch(fileUrl, { method: 'HEAD' })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('content-length'), String(png.length))
  assert.equal(answer.headers.get('content-type'), 'image/png')
  assert.equal(answer.headers.get('accept-ranges'), 'bytes')
  assert.equal((await answer.arrayBuffer()).byteLength, 0)
  const part = await fetch(fileUrl, { method: 'HEAD', headers: { range: 'bytes=0-4' } })
  assert.equal(part.headers.get('content-length'), '5')
})

test('an upload is pending until its hour is over, then expired', async () => {
  const upload = await presign('image/png', 'my cat.png')
  const get = () => gateway.call('GET', `/v1/uploads/${upload.fileId}`, { key: customer.key })
  const { body } = await get()
  assert.equal(body.success, true)
  assert.equal(body.data.id, upload.fileId)
  assert.equal(body.data.filename, 'my cat.png')
  assert.equal(body.data.contentType, 'image/png')
  assert.equal(body.data.status, 'pending')
  assert.equal(body.data.expiresAt, upload.expiresAt)
  await put(upload.uploadUrl, png)
  assert.equal((await get()).body.data.status, 'pending')
  assert.deepEqual(Buffer.from(await (await fetch(body.data.fileUrl)).arrayBuffer()), png)
  await database.pool.query("update uploads set expires_at = now() - interval '1 s' where id = $1", [
    upload.fileId,
  ])
  const late = await get()
  assert.equal(late.body.data.status, 'expired')
  assert.equal((await gateway.call('GET', late.body.data.fileUrl)).status, 403)
})

test("another user's upload is not found, nor one that never was, nor a malformed id", async () => {
  const { fileId } = await presign()
  const other = await makeCustomer(database.pool)
  const get = (id: string) => gateway.call('GET', `/v1/uploads/${id}`, { key: other.key })
  await assertRefused(await get(fileId), 404, 'NOT_FOUND')
  await assertRefused(await get('00000000-0000-4000-8000-000000000000'), 404, 'NOT_FOUND')
  for (const id of ["x'--", '%00', '1', `${fileId}x`]) {
    await assertRefused(await get(id), 400, 'VALIDATION_ERROR')
  }
})
