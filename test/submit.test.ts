import assert from 'node:assert/strict'
import { test } from 'node:test'
import { balanceOf, cloneDatabase, ledgerProblems, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { imageToVideo, readSeedPages, seedBody, textToVideo } from './seeds.ts'

const plenty = 1_000_000_000n

const database = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
const customer = await makeCustomer(database.pool, { microCents: plenty })

const submit = (body: unknown, headers: Record<string, string> = {}) =>
  gateway.call('POST', '/v1/jobs/submit', { key: customer.key, body, headers })

const counts = async () => {
  const { rows } = await database.pool.query(
    `select (select count(*)::int from jobs) as jobs, (select count(*)::int from graphile_worker.jobs) as tasks,
         (select count(*)::int from ledger_transfers where kind = 'charge') as charges`,
  )
  return { ...rows[0], balance: await balanceOf(database.pool, customer.accountId) }
}

/** Nothing charged, nothing queued, and the answer in the documented form. */
const refused = async (body: unknown, status: number, code: string, headers?: Record<string, string>) => {
  const earlier = await counts()
  const answer = await submit(body, headers)
  assert.equal(answer.status, status, JSON.stringify(answer.body))
  assert.equal(answer.body.success, false)
  assert.equal(answer.body.error.code, code)
  assert.ok(answer.body.error.message.length > 10)
  assert.equal(answer.body.requestId, answer.headers.get('x-request-id'))
  assert.deepEqual(await counts(), earlier)
  return answer.body.error
}

test('the bodies used here are those of the published pages', (t) => {
  const pages = readSeedPages()
  if (pages === undefined) return t.skip('the pages are not at hand')
  for (const page of pages) {
    const printed = JSON.parse(/-d '(\{[\s\S]*\})'\s*$/.exec(page)![1]!)
    assert.deepEqual(seedBody(printed.model), printed)
  }
})

for (const [model, cost] of [
  [imageToVideo, 350_000],
  [textToVideo, 420_000],
] as const) {
  test(`the published request of ${model} gets the published answer, at the published price`, async () => {
    const earlier = await counts()
    const { status, body } = await submit(seedBody(model))
    assert.equal(status, 200)
    assert.deepEqual(Object.keys(body).sort(), [
      'costMicroCents',
      'estimatedCompletionTime',
      'jobId',
      'requestId',
      'status',
    ])
    assert.match(body.jobId, /^job_[0-9a-z]+$/)
    assert.equal(body.status, 'pending')
    assert.equal(body.costMicroCents, cost)
    assert.equal(new Date(body.estimatedCompletionTime).toISOString(), body.estimatedCompletionTime)
    assert.ok(new Date(body.estimatedCompletionTime) > new Date())
    const later = await counts()
    assert.deepEqual(later, {
      jobs: earlier.jobs + 1,
      tasks: earlier.tasks + 1,
      charges: earlier.charges + 1,
      balance: earlier.balance - BigInt(cost),
    })
  })
}

test('defaults are filled in: nothing but what is required costs the default', async () => {
  const image = await submit({
    model: imageToVideo,
    input: { prompt: 'x', image_url: 'https://example.com/a.jpg' },
  })
  assert.equal(image.body.costMicroCents, 350_000)
  const text = await submit({ model: textToVideo, input: { prompt: 'x' } })
  assert.equal(text.body.costMicroCents, 420_000)
  const { rows } = await database.pool.query('select input from jobs where id = $1', [text.body.jobId])
  assert.deepEqual(rows[0].input, {
    prompt: 'x',
    aspect_ratio: '16:9',
    duration: '5',
    has_sound: 'false',
    shot_type: 'customize',
  })
})

const rows: [string, Record<string, unknown>, number][] = [
  [imageToVideo, { duration: '5', quality: 'std' }, 350_000],
  [imageToVideo, { duration: '10', quality: 'std' }, 700_000],
  [imageToVideo, { duration: '5', quality: 'pro' }, 525_000],
  [imageToVideo, { duration: '10', quality: 'pro' }, 1_050_000],
  ...Array.from({ length: 13 }, (_, index): [string, Record<string, unknown>, number] => [
    textToVideo,
    { duration: String(index + 3) },
    84_000 * (index + 3),
  ]),
  [textToVideo, { duration: '5', has_sound: 'true' }, 630_000],
  [textToVideo, { duration: '7', has_sound: 'true' }, 882_000],
]
for (const [model, options, cost] of rows) {
  test(`${model} with ${JSON.stringify(options)} is estimated and charged at ${cost}`, async () => {
    const { input } = seedBody(model)
    const body = { model, input: { ...input, ...options } }
    const estimate = await gateway.call('POST', '/v1/jobs/estimate', { key: customer.key, body })
    assert.equal(estimate.body.estimatedCostMicroCents, cost)
    const sum = estimate.body.breakdown.reduce(
      (total: number, entry: { costMicroCents: number }) => total + entry.costMicroCents,
      0,
    )
    assert.equal(sum, cost)
    assert.equal((await submit(body)).body.costMicroCents, cost)
  })
}

test('JSON numbers and booleans are taken for the options they spell', async () => {
  const { input } = seedBody(textToVideo)
  const { body } = await submit({ model: textToVideo, input: { ...input, duration: 10, has_sound: true } })
  assert.equal(body.costMicroCents, 1_260_000)
})

test('a model may be named without its only capability, and by the aliases of the fields', async () => {
  const { input } = seedBody(textToVideo)
  const { status } = await submit({
    modelSlug: 'kling/kling-text2video-v3',
    modelVersion: 'v1.0',
    input: { prompt: input.prompt },
  })
  assert.equal(status, 200)
})

test('two names of one field that differ are refused, and say which to leave out', async () => {
  const { input } = seedBody(textToVideo)
  for (const [extra, path] of [
    [{ modelSlug: imageToVideo }, 'modelSlug'],
    [{ version: 'v1.0', modelVersion: 'v2.0' }, 'modelVersion'],
  ] as const) {
    const error = await refused({ model: textToVideo, input, ...extra }, 400, 'VALIDATION_ERROR')
    assert.equal(error.details.issues[0].path, path)
  }
  assert.equal((await submit({ model: textToVideo, modelSlug: textToVideo, input })).status, 200)
})

test('a model whose slug ends before the capability is the same with it', async () => {
  const prompt = 'A lighthouse'
  const costs = async (model: string) => (await submit({ model, input: { prompt } })).body.costMicroCents
  assert.equal(await costs('google/nano-banana'), 40_000)
  assert.equal(await costs('google/nano-banana/text-to-image'), 40_000)
  await refused({ model: 'google/nano-banana/text-to-video', input: { prompt } }, 404, 'MODEL_NOT_FOUND')
})

test('an unknown field is refused with the name that was meant', async () => {
  const { input } = seedBody(textToVideo)
  const error = await refused(
    { model: textToVideo, input: { ...input, aspect_ration: '1:1' } },
    400,
    'INVALID_INPUT',
  )
  assert.deepEqual(error.details.issues, [
    { path: 'input.aspect_ration', message: 'is not a known field; did you mean "aspect_ratio"?' },
  ])
})

test('every problem is listed at once', async () => {
  const input = {
    image_url: 'ftp://example.com/a',
    quality: 'best',
    duration: 7,
    aspect_ratio: '4:3',
    seed: 1,
  }
  const error = await refused({ model: imageToVideo, input }, 400, 'INVALID_INPUT')
  const paths = error.details.issues.map((issue: { path: string }) => issue.path).sort()
  assert.deepEqual(paths, [
    'input.aspect_ratio',
    'input.duration',
    'input.image_url',
    'input.prompt',
    'input.quality',
    'input.seed',
  ])
})

test('a missing prompt, one of 2,501 characters and one with U+0000 are refused; 2,500 are taken', async () => {
  const { input } = seedBody(textToVideo)
  const { prompt: _, ...rest } = input
  const missing = await refused({ model: textToVideo, input: rest }, 400, 'INVALID_INPUT')
  assert.deepEqual(missing.details.issues, [{ path: 'input.prompt', message: 'is required' }])
  const long = await refused(
    { model: textToVideo, input: { ...input, prompt: 'é'.repeat(2501) } },
    400,
    'INVALID_INPUT',
  )
  assert.match(long.message, /2500 characters.* is 2501/)
  await refused({ model: textToVideo, input: { ...input, prompt: 'a\0b' } }, 400, 'INVALID_INPUT')
  assert.equal(
    (await submit({ model: textToVideo, input: { ...input, prompt: '🐈'.repeat(2500) } })).status,
    200,
  )
})

test('a wrong option is refused with the right ones', async () => {
  const { input } = seedBody(imageToVideo)
  const error = await refused(
    { model: imageToVideo, input: { ...input, quality: 'ultra' } },
    400,
    'INVALID_INPUT',
  )
  assert.match(error.message, /input\.quality must be one of "std", "pro"/)
})

test('shots that do not sum to the duration are refused', async () => {
  const { input } = seedBody(textToVideo)
  const multishot = [
    { prompt: 'a', duration: 2 },
    { prompt: 'b', duration: '4' },
  ]
  const error = await refused({ model: textToVideo, input: { ...input, multishot } }, 400, 'INVALID_INPUT')
  assert.match(error.message, /multishot .* sum to 6, but duration is 5/)
  assert.equal(
    (await submit({ model: textToVideo, input: { ...input, duration: '6', multishot } })).status,
    200,
  )
})

test('a body that is not JSON, not an object, empty, or of another type is refused', async () => {
  await refused('{"model":', 400, 'VALIDATION_ERROR')
  await refused('[]', 400, 'VALIDATION_ERROR')
  await refused('"text"', 400, 'VALIDATION_ERROR')
  await refused('{}', 400, 'VALIDATION_ERROR')
  await refused('model=x', 415, 'UNSUPPORTED_MEDIA_TYPE', {
    'content-type': 'application/x-www-form-urlencoded',
  })
  const unknown = await refused({ ...seedBody(textToVideo), webhookURL: 'x' }, 400, 'VALIDATION_ERROR')
  assert.match(unknown.message, /did you mean "webhookUrl"/)
})

test('text that the database cannot hold is refused wherever it stands', async () => {
  const seed = seedBody(textToVideo)
  await refused({ ...seed, metadata: { note: 'a\0b' } }, 400, 'VALIDATION_ERROR')
  await refused({ ...seed, metadata: { note: '\ud800' } }, 400, 'VALIDATION_ERROR')
  await refused({ ...seed, input: { ...seed.input, prompt: 'half \udc00' } }, 400, 'INVALID_INPUT')
  for (const path of [
    '/v1/jobs?modelId=%00',
    '/v1/jobs/%00',
    '/v1/jobs?metadata[a]=%00',
    '/v1/jobs/%E0%A4%A',
  ]) {
    const { status, body } = await gateway.call('GET', path, { key: customer.key })
    assert.equal(status, 400, path)
    assert.equal(body.error.code, 'VALIDATION_ERROR')
  }
})

test('a body of a thousand unknown fields, or of brackets only, is refused like any other', async () => {
  const seed = seedBody(textToVideo)
  const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`field_${index}`, index]))
  const error = await refused({ ...seed, input: { ...seed.input, ...many } }, 400, 'INVALID_INPUT')
  assert.ok(error.details.issues.length <= 100)
  await refused(
    `{"model":"${textToVideo}","input":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}`,
    400,
    'INVALID_INPUT',
  )
  await refused(
    `{"model":"${textToVideo}","input":{"multishot":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
    400,
    'INVALID_INPUT',
  )
})

test('a body of 2 MB is refused', async () => {
  const { input } = seedBody(textToVideo)
  await refused(
    { model: textToVideo, input: { ...input, prompt: 'x'.repeat(2_000_000) } },
    413,
    'PAYLOAD_TOO_LARGE',
  )
})

test('a malformed slug, an unknown model and an unknown version each have their code', async () => {
  const { input } = seedBody(textToVideo)
  await refused({ model: 'Kling O1', input }, 400, 'INVALID_MODEL_SLUG')
  const unknown = await refused(
    { model: 'kling/kling-omni-o2/image-to-video', input },
    404,
    'MODEL_NOT_FOUND',
  )
  assert.match(unknown.message, /Did you mean "kling\/kling-omni-o1\/image-to-video"/)
  await refused({ model: textToVideo, version: 'v9.9', input }, 404, 'MODEL_VERSION_NOT_FOUND')
})

test('webhook URLs must be public https', async () => {
  const seed = seedBody(textToVideo)
  for (const webhookUrl of [
    'http://example.com/hook',
    'https://127.0.0.1/hook',
    'https://[::1]/hook',
    'https://localhost/hook',
    'https://169.254.169.254/latest',
    'https://user:password@example.com/',
    `https://example.com/${'x'.repeat(2048)}`,
    'not a url',
  ]) {
    await refused({ ...seed, webhookUrl }, 400, 'INVALID_WEBHOOK_URL')
  }
})

test('a price above maxCostMicroCents is refused', async () => {
  const seed = seedBody(textToVideo)
  await refused({ ...seed, maxCostMicroCents: 419_999 }, 400, 'COST_LIMIT_EXCEEDED')
  assert.equal((await submit({ ...seed, maxCostMicroCents: 420_000 })).status, 200)
})

test('a quote is good for its account and input, and for nothing else', async () => {
  const seed = seedBody(textToVideo)
  const { body } = await gateway.call('POST', '/v1/jobs/estimate', { key: customer.key, body: seed })
  assert.ok(new Date(body.quoteExpiresAt) > new Date())
  assert.equal(
    (await submit({ ...seed, quoteId: body.quoteId })).body.costMicroCents,
    body.estimatedCostMicroCents,
  )
  const longer = { ...seed, input: { ...seed.input, duration: '6' }, quoteId: body.quoteId }
  await refused(longer, 400, 'QUOTE_MISMATCH')
  await refused({ ...seed, quoteId: `${body.quoteId}x` }, 400, 'QUOTE_MISMATCH')
  const other = await makeCustomer(database.pool)
  const stolen = await gateway.call('POST', '/v1/jobs/submit', {
    key: other.key,
    body: { ...seed, quoteId: body.quoteId },
  })
  assert.equal(stolen.body.error.code, 'QUOTE_MISMATCH')
})

test('an estimate needs priced fields only, but refuses what it would have to guess', async () => {
  const estimate = (input: unknown) =>
    gateway.call('POST', '/v1/jobs/estimate', { key: customer.key, body: { model: textToVideo, input } })
  const partial = await estimate({ duration: 8 })
  assert.equal(partial.body.estimatedCostMicroCents, 672_000)
  assert.equal(partial.body.quoteId, undefined)
  assert.deepEqual(partial.body.breakdown, [
    { component: 'base_generation', costMicroCents: 84_000 },
    { component: 'duration', costMicroCents: 588_000, value: '8', multiplier: '8' },
    { component: 'has_sound', costMicroCents: 0, value: 'false', multiplier: '1' },
  ])
  assert.equal((await estimate({ durration: 8 })).body.error.code, 'INVALID_INPUT')
  assert.equal((await estimate({ duration: 2 })).body.error.code, 'INVALID_INPUT')
})

test('an estimate of a model whose priced fields have no default names those that are missing', async () => {
  const model = 'xai/grok-imagine/image-to-video'
  const body = { model, input: { resolution: '720p' } }
  const answer = await gateway.call('POST', '/v1/jobs/estimate', { key: customer.key, body })
  assert.equal(answer.body.error.code, 'INVALID_INPUT')
  assert.deepEqual(answer.body.error.details.issues, [{ path: 'input.duration', message: 'is required' }])
})

test('the same Idempotency-Key replays the first answer, whatever the order of the fields', async () => {
  const headers = { 'idempotency-key': 'order-1' }
  const seed = seedBody(textToVideo)
  const first = await submit(seed, headers)
  const balance = await balanceOf(database.pool, customer.accountId)
  const reordered = { input: Object.fromEntries(Object.entries(seed.input).reverse()), model: seed.model }
  const again = await submit(reordered, headers)
  assert.deepEqual(again.body, first.body)
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  assert.equal(first.headers.get('idempotent-replayed'), null)
  assert.equal(await balanceOf(database.pool, customer.accountId), balance)
  await refused({ ...seed, input: { ...seed.input, duration: '6' } }, 422, 'IDEMPOTENCY_CONFLICT', headers)
  await refused(seed, 400, 'VALIDATION_ERROR', { 'idempotency-key': 'x'.repeat(256) })
})

test('100 submits at once with one Idempotency-Key make one job, one charge and 100 equal answers', async () => {
  const earlier = await counts()
  const headers = { 'idempotency-key': 'order-100' }
  const answers = await Promise.all(Array.from({ length: 100 }, () => submit(seedBody(textToVideo), headers)))
  for (const answer of answers) assert.deepEqual(answer.body, answers[0]!.body)
  const later = await counts()
  assert.equal(later.jobs, earlier.jobs + 1)
  assert.equal(later.charges, earlier.charges + 1)
})

test('the list is narrowed to a model by its id or its slug', async () => {
  const other = await makeCustomer(database.pool, { microCents: plenty })
  const call = (method: string, path: string, body?: unknown) =>
    gateway.call(method, path, { key: other.key, body })
  const { body: wanted } = await call('POST', '/v1/jobs/submit', seedBody(imageToVideo))
  await call('POST', '/v1/jobs/submit', seedBody(textToVideo))
  const { body: model } = await call('GET', `/v1/models/${imageToVideo}`)
  for (const modelId of [model.id, imageToVideo]) {
    const { body } = await call('GET', `/v1/jobs?modelId=${modelId}`)
    assert.deepEqual(
      body.jobs.map((job: { jobId: string }) => job.jobId),
      [wanted.jobId],
    )
  }
  const { body: none } = await call('GET', '/v1/jobs?modelId=model_000000000000000000000000')
  assert.deepEqual(none.jobs, [])
})

test('a job id of any length that is no job is not found', async () => {
  for (const length of [1, 101, 1_500]) {
    const { status, body } = await gateway.call('GET', `/v1/jobs/${'x'.repeat(length)}`, {
      key: customer.key,
    })
    assert.deepEqual([status, body.error.code], [404, 'JOB_NOT_FOUND'])
  }
})

test('a live key without an upstream is told so, uncharged', async () => {
  const live = await makeCustomer(database.pool, { mode: 'live' })
  const { status, body } = await gateway.call('POST', '/v1/jobs/submit', {
    key: live.key,
    body: seedBody(textToVideo),
  })
  assert.equal(status, 503)
  assert.equal(body.error.code, 'PROVIDER_UNAVAILABLE')
  assert.equal(body.error.details.retryAfter, 300)
  assert.equal(await balanceOf(database.pool, live.accountId), 10_000_000n)
})

test('a balance too low is told with both amounts', async () => {
  const poor = await makeCustomer(database.pool, { microCents: 419_999n })
  const { status, body } = await gateway.call('POST', '/v1/jobs/submit', {
    key: poor.key,
    body: seedBody(textToVideo),
  })
  assert.equal(status, 402)
  assert.equal(body.error.code, 'INSUFFICIENT_BALANCE')
  assert.deepEqual(body.error.details, { requiredMicroCents: 420_000, availableMicroCents: 419_999 })
})

test('of two submits for the last money one wins and the other gets 402, every time', async () => {
  for (let round = 0; round < 20; round++) {
    const poor = await makeCustomer(database.pool, { microCents: 500_000n })
    const answers = await Promise.all(
      [1, 2].map(() =>
        gateway.call('POST', '/v1/jobs/submit', { key: poor.key, body: seedBody(textToVideo) }),
      ),
    )
    assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 402])
    assert.equal(await balanceOf(database.pool, poor.accountId), 80_000n)
  }
})

test('the limit of unfinished jobs holds against submits at once', async () => {
  const limited = await makeCustomer(database.pool, { concurrencyLimit: 3 })
  const answers = await Promise.all(
    Array.from({ length: 8 }, () =>
      gateway.call('POST', '/v1/jobs/submit', { key: limited.key, body: seedBody(textToVideo) }),
    ),
  )
  assert.equal(answers.filter((answer) => answer.status === 200).length, 3)
  const tooMany = answers.find((answer) => answer.status !== 200)!
  assert.equal(tooMany.status, 429)
  assert.equal(tooMany.body.error.code, 'CONCURRENT_JOBS_EXCEEDED')
  assert.equal(tooMany.headers.get('retry-after'), String(tooMany.body.error.details.retryAfter))
})

test('after all of this the ledger is in order', async () => {
  assert.deepEqual(await ledgerProblems(database.pool), [])
})
