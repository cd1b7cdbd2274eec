import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atEnd } from './at-end.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { startS3Server } from './s3-server.ts'
import { until } from './until.ts'

const database = await cloneDatabase()
const customer = await makeCustomer(database.pool)
const s3 = await startS3Server()
atEnd(s3.stop)
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)
const gateways = {
  local: await startGateway({ databaseUrl: database.url, role: 'api' }),
  S3: await startGateway({
    databaseUrl: database.url,
    role: 'api',
    settings: { s3: await s3.newBucket() },
  }),
}

for (const [place, gateway] of Object.entries(gateways)) {
  const presign = async (filename = 'cat.png') => {
    const body = { filename, contentType: 'image/png' }
    const answer = await gateway.call('POST', '/v1/uploads/presign', { key: customer.key, body })
    return answer.body.data as { uploadUrl: string; fileUrl: string; fileId: string }
  }
  const put = async (url: string, body: Buffer) => {
    const answer = await gateway.call('PUT', url, { body, headers: { 'content-type': 'image/png' } })
    assert.equal(answer.status, 200)
  }
  const get = async (url: string, headers: Record<string, string> = {}, method = 'GET') => {
    const answer = await fetch(url, { method, headers })
    return { status: answer.status, headers: answer.headers, bytes: Buffer.from(await answer.arrayBuffer()) }
  }

  test(`${place}: conditions are judged in their order, by ETag and by time`, async () => {
    const { uploadUrl, fileUrl } = await presign()
    await put(uploadUrl, png)
    const first = await get(fileUrl)
    const etag = first.headers.get('etag')!
    const modified = first.headers.get('last-modified')!
    assert.match(etag, /^"[\w-]+"$/)
    const earlier = new Date(Date.parse(modified) - 1_000).toUTCString()
    const cases: [Record<string, string>, number][] = [
      [{ 'if-none-match': etag }, 304],
      [{ 'if-none-match': `"other", W/${etag}` }, 304],
      [{ 'if-none-match': '*' }, 304],
      [{ 'if-none-match': '"other"' }, 200],
      [{ 'if-none-match': '"other"', 'if-modified-since': modified }, 200],
      [{ 'if-modified-since': modified }, 304],
      [{ 'if-modified-since': earlier }, 200],
      [{ 'if-modified-since': 'yesterday' }, 200],
      [{ 'if-match': etag }, 200],
      [{ 'if-match': '*' }, 200],
      [{ 'if-match': `W/${etag}` }, 412],
      [{ 'if-match': '"other"' }, 412],
      [{ 'if-match': etag, 'if-unmodified-since': earlier }, 200],
      [{ 'if-unmodified-since': earlier }, 412],
      [{ 'if-unmodified-since': modified }, 200],
      [{ 'if-match': etag, 'if-none-match': etag }, 304],
      [{ range: 'bytes=0-3', 'if-range': etag }, 206],
      [{ range: 'bytes=0-3', 'if-range': modified }, 206],
      [{ range: 'bytes=0-3', 'if-range': `W/${etag}` }, 200],
      [{ range: 'bytes=0-3', 'if-range': '"other"' }, 200],
      [{ range: 'bytes=0-3', 'if-range': earlier }, 200],
      [{ range: 'bytes=999-', 'if-none-match': etag }, 304],
      [{ range: 'bytes=999-' }, 416],
      [{ range: 'bytes=0-99999999999999999999' }, 206],
    ]
    for (const [headers, status] of cases) {
      for (const method of ['GET', 'HEAD']) {
        const answer = await get(fileUrl, headers, method)
        assert.equal(answer.status, status, `${method} ${JSON.stringify(headers)}`)
        if (status === 304) assert.deepEqual([answer.headers.get('etag'), answer.bytes.length], [etag, 0])
        if (status < 300 && method === 'GET') {
          const isPart = status === 206 && headers.range === 'bytes=0-3'
          assert.deepEqual(answer.bytes, isPart ? png.subarray(0, 4) : png)
        }
        if (status > 400 && method === 'GET') {
          assert.equal(JSON.parse(answer.bytes.toString()).error.code, 'VALIDATION_ERROR')
        }
      }
    }
  })

  test(`${place}: a link whose file was replaced never gives both the same validator`, async () => {
    const { uploadUrl, fileUrl } = await presign()
    const seen: Map<string, string>[] = [new Map(), new Map()]
    for (let round = 0; round < 6; round++) {
      const bytes = Buffer.concat([png, Buffer.from(String(round))])
      await put(uploadUrl, bytes)
      const answer = await get(fileUrl)
      assert.deepEqual(answer.bytes, bytes)
      for (const [index, name] of ['etag', 'last-modified'].entries()) {
        const value = answer.headers.get(name)
        if (value === null) continue
        assert.ok(!seen[index]!.has(value), `${name} ${value} of two files`)
        seen[index]!.set(value, String(round))
        const again = await get(fileUrl, { [name === 'etag' ? 'if-none-match' : 'if-modified-since']: value })
        assert.equal(again.status, 304)
      }
    }
    assert.equal(seen[0]!.size, 6)
    const settled = await until(async () => {
      const answer = await get(fileUrl)
      return answer.headers.has('last-modified') && answer
    })
    assert.ok(!seen[1]!.has(settled.headers.get('last-modified')!))
  })

  test(`${place}: a file is saved under its name, and shown or saved as asked`, async () => {
    const names: [string, string][] = [
      ['cat.png', 'inline; filename=cat.png'],
      ['a "b".png', 'inline; filename="a \\"b\\".png"'],
      ['кот.png', `inline; filename="???.png"; filename*=UTF-8''%D0%BA%D0%BE%D1%82.png`],
    ]
    for (const [filename, disposition] of names) {
      const { uploadUrl, fileUrl } = await presign(filename)
      await put(uploadUrl, png)
      const shown = await get(fileUrl)
      assert.equal(shown.headers.get('content-disposition'), disposition)
      assert.match((await get(`${fileUrl}&download`)).headers.get('content-disposition')!, /^attachment;/)
      assert.equal(shown.headers.get('cache-control'), 'private, no-cache')
      assert.equal(shown.headers.get('x-content-type-options'), 'nosniff')
    }
  })
}
