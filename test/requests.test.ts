import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { balanceOf, cloneDatabase, makeCustomer } from './database.ts'
import { type Answer, startGateway } from './gateway.ts'
import { imageToVideo, seedBody, textToVideo } from './seeds.ts'

const { pool, url } = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: url, role: 'api' })
const customer = await makeCustomer(pool)
const { key } = customer
const seed = seedBody(textToVideo)

const send = (body: string | Uint8Array, headers: Record<string, string> = {}, path = '/v1/jobs/submit') =>
  gateway.call('POST', path, { key, body: body as string, headers })
const submit = (body: unknown, headers: Record<string, string> = {}) => send(JSON.stringify(body), headers)

function refused(answer: Answer, status: number, code: string, message: RegExp): void {
  assert.deepEqual([answer.status, answer.body.error?.code], [status, code], JSON.stringify(answer.body))
  assert.match(answer.body.error.message, message)
}

/** What the server answers to these very bytes. */
async function raw(text: string): Promise<string> {
  const { hostname, port } = new URL(gateway.url)
  const socket = connect(Number(port), hostname)
  socket.write(text)
  let answer = ''
  socket.on('data', (chunk) => {
    answer += chunk
  })
  await once(socket, 'close')
  return answer
}
const rawPost = (headers: string[], body: string, path = '/v1/jobs/submit') =>
  raw(`POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${headers.join('\r\n')}\r\n\r\n${body}`)

test('nothing in a body is changed without a word or chosen among: each is refused with its field', async () => {
  const before = await balanceOf(pool, customer.accountId)
  const text = JSON.stringify(seed)
  const withMember = (member: string) => text.replace(/}$/, `,${member}}`)
  const withInput = (member: string) => text.replace('"input":{', `"input":{${member},`)
  for (const [body, code, message] of [
    [
      Buffer.concat([Buffer.from('{"model":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]),
      'VALIDATION_ERROR',
      /UTF-8/,
    ],
    [`\ufeff${text}`, 'VALIDATION_ERROR', /byte order mark/],
    [`${text} x`, 'VALIDATION_ERROR', /not valid JSON/],
    [text + text, 'VALIDATION_ERROR', /not valid JSON/],
    [withMember(`"model":"${textToVideo}"`), 'VALIDATION_ERROR', /^model stands twice/],
    [withMember('"\\u006dodel":"x"'), 'VALIDATION_ERROR', /^model stands twice/],
    [withInput('"prompt":"b"'), 'VALIDATION_ERROR', /^input\.prompt stands twice/],
    [
      withInput('"multishot":[{"prompt":"a","prompt":"b"}]'),
      'VALIDATION_ERROR',
      /^input\.multishot\[0\]\.prompt stands/,
    ],
    [
      withMember('"maxCostMicroCents":9007199254740993'),
      'VALIDATION_ERROR',
      /^maxCostMicroCents must be a number from/,
    ],
    [withMember('"maxCostMicroCents":1e400'), 'VALIDATION_ERROR', /^maxCostMicroCents must be a number from/],
    [withInput('"seed":1e400'), 'INVALID_INPUT', /^input\.seed must be a number from/],
    [withMember('"__proto__":{"a":1}'), 'VALIDATION_ERROR', /^__proto__ is not a known field/],
    [withMember('"metadata":{"a":"\\ud800"}'), 'VALIDATION_ERROR', /metadata\.a must not contain U\+0000/],
    [withMember('"metadata":{"a":null}'), 'VALIDATION_ERROR', /metadata\.a must be string, not null/],
    ['', 'VALIDATION_ERROR', /is empty: send a JSON object/],
    ['null', 'VALIDATION_ERROR', /The body must be object, not null/],
  ] as const) {
    refused(await send(body), 400, code, message)
  }
  assert.equal(await balanceOf(pool, customer.accountId), before)
})

test('metadata named like parts of every object comes back as it was sent', async () => {
  const metadata = '{"__proto__":"a","constructor":"b"}'
  const { status, body } = await send(JSON.stringify(seed).replace(/}$/, `,"metadata":${metadata}}`))
  assert.equal(status, 200, JSON.stringify(body))
  const job = await gateway.call('GET', `/v1/jobs/${body.jobId}`, { key })
  assert.equal(JSON.stringify(job.body.metadata), metadata)
})

test('encodings, charsets and types that are not read are 415, which names them and says what is right', async () => {
  const text = JSON.stringify(seed)
  for (const [headers, message] of [
    [{ 'content-encoding': 'gzip' }, /"gzip" is not read/],
    [{ 'content-encoding': 'identity, br' }, /"br" is not read/],
    [{ 'content-encoding': 'DEFLATE' }, /"DEFLATE" is not read/],
    [{ 'content-type': 'application/json; charset=iso-8859-1' }, /"iso-8859-1" is not read.*UTF-8/],
    [{ 'content-type': 'application/json;charset="utf-16"' }, /"utf-16" is not read/],
    [{ 'content-type': 'text/plain' }, /"text\/plain" is not read here: send JSON/],
    [
      { 'content-type': 'multipart/form-data; boundary=x' },
      /send JSON.*upload it: POST \/v1\/uploads\/presign/,
    ],
    [{ 'content-type': 'application/x-www-form-urlencoded' }, /send JSON/],
    [{ 'content-type': 'application/jsonp' }, /send JSON/],
    [{ 'content-type': 'json' }, /send JSON/],
  ] as const) {
    refused(await send(text, headers), 415, 'UNSUPPORTED_MEDIA_TYPE', message)
  }
  refused(await send(gzipSync(text), { 'content-encoding': 'gzip' }), 415, 'UNSUPPORTED_MEDIA_TYPE', /"gzip"/)
  const length = `content-length: ${text.length}`
  assert.match(
    await rawPost([`x-api-key: ${key}`, length], text),
    /^HTTP\/1.1 415 .*The body has no Content-Type/s,
  )
  const twoTypes = ['content-type: application/json', 'content-type: text/plain']
  assert.match(await rawPost([`x-api-key: ${key}`, length, ...twoTypes], text), /content-type stands twice/)
  const chunked = ['content-type: application/json', 'transfer-encoding: gzip, chunked']
  assert.match(
    await rawPost([`x-api-key: ${key}`, ...chunked], '2\r\n{}\r\n0\r\n\r\n'),
    /^HTTP\/1.1 4(00|15) /,
  )
  for (const type of ['application/json; charset=utf-8', 'Application/JSON; Charset="UTF-8"; v=1']) {
    assert.equal((await send(text, { 'content-type': type })).status, 200, type)
  }
  const presigned = await gateway.call('POST', '/v1/uploads/presign', {
    key,
    body: { filename: 'a.png', contentType: 'image/png' },
  })
  const put = await gateway.call('PUT', presigned.body.data.uploadUrl, {
    body: new Uint8Array(10),
    headers: { 'content-type': 'image/png', 'content-encoding': 'gzip' },
  })
  refused(put, 415, 'UNSUPPORTED_MEDIA_TYPE', /"gzip" is not read/)
})

test('where no body is taken an empty one or an empty object is, and nothing else', async () => {
  const { body } = await submit(seed)
  const cancel = (text: string, type = 'application/json') =>
    send(text, { 'content-type': type }, `/v1/jobs/${body.jobId}/cancel`)
  refused(await cancel('{"why":"late"}'), 400, 'VALIDATION_ERROR', /^why is not a known field/)
  refused(await cancel('[]'), 400, 'VALIDATION_ERROR', /must be empty/)
  refused(await cancel('{"a":'), 400, 'VALIDATION_ERROR', /not valid JSON/)
  refused(
    await cancel('a=b', 'application/x-www-form-urlencoded'),
    415,
    'UNSUPPORTED_MEDIA_TYPE',
    /send JSON/,
  )
  const get = `GET /v1/jobs HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: ${key}\r\n`
  assert.match(await raw(`${get}content-length: 2\r\n\r\n{}`), /^HTTP\/1.1 400 .*not taken with GET/s)
  assert.match(await raw(`${get}content-length: 0\r\n\r\n`), /^HTTP\/1.1 200 /)
  assert.equal((await cancel('{}')).status, 200)
})

test('null for a field that may be left out is the same as leaving it out, and missing where it may not', async () => {
  const nulls = {
    modelSlug: null,
    version: null,
    modelVersion: null,
    webhookUrl: null,
    metadata: null,
    maxCostMicroCents: null,
    quoteId: null,
  }
  const input = { ...seed.input, multishot: null, has_sound: null }
  const first = await submit({ ...seed, ...nulls, input })
  assert.equal(first.status, 200, JSON.stringify(first.body))
  const { rows } = await pool.query('select input, metadata from jobs where id = $1', [first.body.jobId])
  assert.ok(!('multishot' in rows[0].input) && rows[0].metadata === null, JSON.stringify(rows))
  const estimate = await send(
    JSON.stringify({ model: textToVideo, version: null, modelSlug: null, modelVersion: null, input: null }),
    {},
    '/v1/jobs/estimate',
  )
  assert.equal(estimate.status, 200, JSON.stringify(estimate.body))
  refused(await submit({ ...seed, model: null }), 400, 'VALIDATION_ERROR', /^model is required/)
  refused(await submit({ ...seed, input: null }), 400, 'VALIDATION_ERROR', /^input is required/)
  refused(
    await submit({ ...seed, input: { ...input, prompt: null } }),
    400,
    'INVALID_INPUT',
    /input\.prompt is required/,
  )
  refused(await submit({ ...seed, colour: null }), 400, 'VALIDATION_ERROR', /colour is not a known field/)
  const presign = await send(JSON.stringify({ filename: 'a', contentType: null }), {}, '/v1/uploads/presign')
  refused(presign, 400, 'VALIDATION_ERROR', /contentType is required/)
})

test('what is no URL of a file is refused at submit and estimate, uncharged, with where a file goes', async () => {
  const before = await balanceOf(pool, customer.accountId)
  const { input } = seedBody(imageToVideo)
  for (const [image_url, message] of [
    [
      `data:image/png;base64,${'A'.repeat(9_000)}`,
      /^input\.image_url .*upload it: POST \/v1\/uploads\/presign/,
    ],
    ['iVBORw0KGgoAAAANSUhEUgAA'.repeat(20), /^input\.image_url .*upload it: POST \/v1\/uploads\/presign/],
    ['https://user:secret@example.com/a.png', /user name or password/],
    ['ftp://example.com/a.png', /http or https/],
    ['https://example.com/a b.png', /without spaces/],
  ] as const) {
    const body = { model: imageToVideo, input: { ...input, image_url } }
    refused(await submit(body), 400, 'INVALID_INPUT', message)
    refused(await send(JSON.stringify(body), {}, '/v1/jobs/estimate'), 400, 'INVALID_INPUT', message)
  }
  for (const webhookUrl of [
    'https://u:p@example.com/h',
    ' https://example.com/h',
    'https:\\\\example.com',
    'data:,',
  ]) {
    refused(await submit({ ...seed, webhookUrl }), 400, 'INVALID_WEBHOOK_URL', /^webhookUrl/)
  }
  const large = await submit({ ...seed, input: { ...seed.input, prompt: 'x'.repeat(2_000_000) } })
  refused(large, 413, 'PAYLOAD_TOO_LARGE', /upload it: POST \/v1\/uploads\/presign/)
  assert.equal(await balanceOf(pool, customer.accountId), before)
})

test('an address that is never fetched is refused at submit and estimate, uncharged, by its field', async () => {
  const before = await balanceOf(pool, customer.accountId)
  const { input } = seedBody(imageToVideo)
  const refuse = async (image_url: string, message: RegExp) => {
    const body = { model: imageToVideo, input: { ...input, image_url } }
    refused(await submit(body), 400, 'INVALID_INPUT', message)
    refused(await send(JSON.stringify(body), {}, '/v1/jobs/estimate'), 400, 'INVALID_INPUT', message)
  }
  for (const host of [
    ...[
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f.1',
      '0177.0.0.1',
      '127.0.0.1.',
      '１２７.0.0.1',
      '%31%32%37.1',
    ],
    ...[
      '10.0.0.1',
      '172.16.0.1',
      '192.168.1.1',
      '169.254.169.254',
      '100.64.0.1',
      '0.0.0.0',
      '255.255.255.255',
    ],
    ...['198.18.0.1', '192.0.2.1', '224.0.0.1', '240.0.0.1', '168.63.129.16'],
    ...['[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:a00:1]', '[::127.0.0.1]', '[fe80::1]', '[fd00::1]'],
    ...['[64:ff9b::10.0.0.1]', '[2002:7f00:1::]', '[2001:db8::1]', '[ff02::1]'],
    ...[
      'localhost',
      'LOCALHOST.',
      'localhost..',
      'a.localhost',
      'printer.local',
      'metadata.google.internal',
      'intranet',
    ],
  ]) {
    await refuse(
      `http://${host}/a.png`,
      /^input\.image_url can't be fetched: The URL must point to a public address/,
    )
    const webhookUrl = `https://${host}:8443/hook`
    refused(await submit({ ...seed, webhookUrl }), 400, 'INVALID_WEBHOOK_URL', /^webhookUrl/)
  }
  await refuse(
    `${gateway.url}/files/uploads/forged.jpg?expires=9999999999&signature=x`,
    /wrong or has expired/,
  )
  await refuse(`${gateway.url}/v1/jobs`, /public address/)
  assert.equal(await balanceOf(pool, customer.accountId), before)
})

test("the server's own links are taken, wherever it listens", async () => {
  const { input } = seedBody(imageToVideo)
  const presigned = await gateway.call('POST', '/v1/uploads/presign', {
    key,
    body: { filename: 'a.png', contentType: 'image/png' },
  })
  for (const image_url of [presigned.body.data.fileUrl, `${gateway.url}/samples/image.jpg`]) {
    const body = JSON.stringify({ model: imageToVideo, input: { ...input, image_url } })
    const { status, body: answer } = await send(body, {}, '/v1/jobs/estimate')
    assert.equal(status, 200, `${image_url}: ${JSON.stringify(answer)}`)
    assert.match(answer.quoteId, /^quote_/)
  }
})

test('a wrong method is 405 with those that are right, whatever the address, key and body', async () => {
  for (const [method, path, allow] of [
    ['DELETE', '/v1/jobs', 'GET, HEAD'],
    ['PATCH', '/v1/jobs/job_1', 'GET, HEAD'],
    ['GET', '/v1/jobs/job_1/cancel', 'POST'],
    ['PUT', '/v1/jobs/job_1/webhook-deliveries/', 'GET, HEAD, POST'],
    ['POST', '/v1/models/kling/kling-omni-o1/x', 'GET, HEAD'],
    ['DELETE', '/v1/uploads/0', 'GET, HEAD, PUT'],
    ['GET', '/v1/sessions', 'POST'],
    ['POST', '/health/live', 'GET, HEAD'],
    ['POST', '/docs/jobs', 'GET, HEAD'],
    ['PUT', '/', 'GET, HEAD'],
    ['DELETE', '/files/outputs/a.mp4', 'GET, HEAD'],
    ['GET', '/callbacks/kling/x', 'POST'],
    ['PROPFIND', '/openapi.json', 'GET, HEAD'],
  ] as const) {
    const body = method === 'GET' ? {} : { body: 'a=b', headers: { 'content-type': 'text/plain' } }
    const answer = await gateway.call(method, path, body)
    refused(answer, 405, 'METHOD_NOT_ALLOWED', /it takes/)
    assert.equal(answer.headers.get('allow'), allow, `${method} ${path}`)
    const question = await gateway.call('OPTIONS', path)
    assert.deepEqual([question.status, question.headers.get('allow')], [204, allow])
  }
  const nowhere = await gateway.call('POST', '/v2/jobs', {
    body: 'x',
    headers: { 'content-type': 'text/plain' },
  })
  refused(nowhere, 404, 'NOT_FOUND', /There is no POST \/v2\/jobs/)
  assert.equal((await gateway.call('OPTIONS', '/v2/jobs')).status, 404)
})

test('HEAD is taken wherever GET is, without a body', async () => {
  const { body } = await submit(seed)
  for (const path of [
    '/v1/jobs',
    `/v1/jobs/${body.jobId}`,
    '/v1/models',
    '/v1/catalog/models',
    '/health/live',
    '/docs',
  ]) {
    const answer = await fetch(gateway.url + path, { method: 'HEAD', headers: { 'x-api-key': key } })
    assert.deepEqual([answer.status, await answer.text()], [200, ''], path)
    assert.ok(Number(answer.headers.get('content-length')) > 0, path)
  }
})

test('a trailing slash is the same address', async () => {
  const { status, body } = await send(JSON.stringify(seed), {}, '/v1/jobs/submit/')
  assert.equal(status, 200)
  for (const path of [
    '/v1/jobs/',
    `/v1/jobs/${body.jobId}/`,
    '/v1/models/?',
    '/v1/catalog/models/',
    '/health/live/',
  ]) {
    assert.equal((await gateway.call('GET', path, { key })).status, 200, path)
  }
})

test('a query is read literally: plain digits, each name once, valid encodings', async () => {
  const list = (query: string) => gateway.call('GET', `/v1/jobs?${query}`, { key })
  for (const limit of ['1e1', '0x10', '%2B5', '+5', '%205', '5.0', '05', '-1', '0', '101', '', '5%00', '٥']) {
    refused(await list(`limit=${limit}`), 400, 'VALIDATION_ERROR', /^limit must be/)
  }
  assert.equal((await list('limit=100')).status, 200)
  refused(await list('limit=1&limit=2'), 400, 'VALIDATION_ERROR', /^limit stands twice/)
  refused(await list('metadata[a]=1&metadata[a]=1'), 400, 'VALIDATION_ERROR', /^metadata\[a\] stands twice/)
  const { body } = await submit(seed)
  const job = await gateway.call('GET', `/v1/jobs/${body.jobId}?x=1&x=2`, { key })
  refused(job, 400, 'VALIDATION_ERROR', /^x stands twice/)
  for (const path of [
    '/v1/jobs?modelId=%zz',
    '/v1/jobs?modelId=%ff',
    '/v1/jobs/%zz',
    '/v1/%E0%A4%A',
    '/files/%',
    '/%',
  ]) {
    const answer = await gateway.call('GET', path, { key })
    refused(answer, 400, 'VALIDATION_ERROR', /^The address has a percent-encoding/)
    assert.equal(answer.body.requestId, answer.headers.get('x-request-id'))
  }
})

test('what a client has sent is repeated in no answer at length', async () => {
  const long = 'x'.repeat(3_000)
  const uuid = '00000000-0000-4000-8000-000000000000'
  const answers = [
    ...['jobs', 'models', 'uploads', 'providers', 'nothing', 'catalog/models', 'catalog/providers'].map(
      (noun) => gateway.call('GET', `/v1/${noun}/${long}`, { key }),
    ),
    gateway.call('GET', `/${long}`),
    gateway.call('GET', `/v1/jobs?${long}=1`, { key }),
    gateway.call('GET', `/v1/jobs?status=${long}`, { key }),
    gateway.call('GET', `/v1/jobs?cursor=${long}`, { key }),
    gateway.call('POST', `/v1/jobs/${long}/cancel`, { key }),
    gateway.call('PUT', `/v1/uploads/${uuid}?expires=1&signature=${long}`, { body: 'x' }),
    submit({ ...seed, model: long }),
    submit({ ...seed, model: `a/${long}` }),
    submit({ ...seed, version: long }),
    submit({ ...seed, [long]: 1 }),
    submit({ ...seed, input: { ...seed.input, [long]: 1 } }),
    submit({ ...seed, metadata: { [long]: 'x' } }),
    send(`{"${long}":1,"${long}":2}`),
    submit(seed, { 'content-encoding': long }),
    submit(seed, { 'content-type': `text/${long}` }),
    submit(seed, { 'idempotency-key': long }),
    send(JSON.stringify({ filename: 'a', contentType: long }), {}, '/v1/uploads/presign'),
  ]
  for (const answer of await Promise.all(answers)) {
    const text = JSON.stringify(answer.body)
    assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${text.slice(0, 200)}`)
    assert.ok(text.length < 1_500 && !text.includes('x'.repeat(201)), text.slice(0, 300))
  }
})

test('a body whose length is no number, or told in two ways, takes no job', async () => {
  const before = await balanceOf(pool, customer.accountId)
  const text = JSON.stringify(seed)
  const head = [`x-api-key: ${key}`, 'content-type: application/json']
  for (const lengths of [
    [`content-length: ${text.length}`, 'content-length: 2'],
    [`content-length: ${text.length}`, 'transfer-encoding: chunked'],
    [`content-length: +${text.length}`],
    ['content-length: -1'],
  ]) {
    assert.match(await rawPost([...head, ...lengths], text), /^HTTP\/1.1 400 /, lengths.join())
  }
  assert.equal(await balanceOf(pool, customer.accountId), before)
})

test('of two keys that differ none is chosen', async () => {
  const other = (await makeCustomer(pool)).key
  const get = async (...lines: string[]) =>
    raw(`GET /v1/jobs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${lines.join('\r\n')}\r\n\r\n`)
  for (const lines of [
    [`authorization: Bearer ${key}`, `x-api-key: ${other}`],
    [`authorization: Bearer ${key}`, `authorization: Bearer ${other}`],
    [`x-api-key: ${key}`, `x-api-key: ${other}`],
    [`x-api-key: ${key}`, `authorization: Bearer ${key} ${other}`],
  ]) {
    assert.match(await get(...lines), /^HTTP\/1.1 401 .*"INVALID_API_KEY"/s, lines.join())
  }
  assert.match(await get(`authorization: Bearer ${key}`, `x-api-key: ${key}`), /^HTTP\/1.1 200 /)
})

test('an Idempotency-Key is 1 to 255 visible ASCII characters, sent once', async () => {
  for (const value of ['', ' ', 'a b', 'é', 'x'.repeat(256), 'a, b']) {
    refused(
      await submit(seed, { 'idempotency-key': value }),
      400,
      'VALIDATION_ERROR',
      /^Idempotency-Key must be/,
    )
  }
  const text = JSON.stringify(seed)
  const headers = [`x-api-key: ${key}`, 'content-type: application/json', `content-length: ${text.length}`]
  const twice = await rawPost([...headers, 'idempotency-key: a', 'idempotency-key: a'], text)
  assert.match(twice, /^HTTP\/1.1 400 .*Idempotency-Key must be/s)
})
