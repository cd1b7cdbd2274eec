import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKey } from '../src/accounts/keys.ts'
import { assignSegment, createSegment } from '../src/accounts/segments.ts'
import { findUser } from '../src/accounts/users.ts'
import { routes } from '../src/http/app.ts'
import { cloneDatabase, makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { imageToVideo, seedBody, textToVideo } from './seeds.ts'

const { pool, url } = await cloneDatabase()
const gateway = await startGateway({ databaseUrl: url, role: 'api' })
const [operator, customer] = [await makeCustomer(pool), await makeCustomer(pool)]
const admin = await createKey(pool, { userId: operator.userId, mode: 'live', scopes: ['admin'] })
await createSegment(pool, 'studios', undefined)

const ask = (method: string, path: string, body?: unknown, key = admin.key) =>
  gateway.call(method, `/v1/admin${path}`, { key, body })
const set = async (body: unknown) => {
  const answer = await ask('PUT', '/price-overrides', body)
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body
}
const refused = async (body: unknown, paths: string[], message: RegExp) => {
  const { status, body: answer } = await ask('PUT', '/price-overrides', body)
  assert.deepEqual([status, answer.error?.code], [400, 'VALIDATION_ERROR'], JSON.stringify(answer))
  assert.deepEqual(
    answer.error.details.issues.map((issue: { path: string }) => issue.path),
    paths,
  )
  assert.match(answer.error.message, message)
}
const estimate = async (key = customer.key) => {
  const { body } = await gateway.call('POST', '/v1/jobs/estimate', { key, body: seedBody(imageToVideo) })
  return body.estimatedCostMicroCents
}

test("the operator's operations are FORBIDDEN to every key without the scope admin", async () => {
  const plain = await createKey(pool, { userId: operator.userId, mode: 'test' })
  const scoped = await createKey(pool, {
    userId: operator.userId,
    mode: 'test',
    scopes: ['submit_job', 'check_status', 'list_models'],
  })
  for (const { key } of [plain, scoped, customer]) {
    for (const [method, path, body] of [
      ['GET', `/users/${customer.userId}`],
      ['GET', '/price-overrides'],
      ['PUT', '/price-overrides', { segment: 'studios', percentage: '100' }],
      ['DELETE', '/price-overrides/override_1'],
    ] as const) {
      const answer = await ask(method, path, body, key)
      assert.deepEqual([answer.status, answer.body.error?.code], [403, 'FORBIDDEN'], path)
    }
  }
  assert.deepEqual((await ask('GET', '/price-overrides')).body, { overrides: [] })
})

test('a test key with the scope admin reads and changes nothing, whatever the operation', async () => {
  const { key } = await createKey(pool, { userId: operator.userId, mode: 'test', scopes: ['admin'] })
  const operations = routes.filter(({ scope }) => scope === 'admin')
  assert.ok(operations.some(({ method }) => method !== 'GET'))
  for (const { method, path, exampleBody } of operations) {
    const { status, body } = await gateway.call(method, path.replace(':userId', customer.userId), {
      key,
      body: exampleBody,
    })
    const wanted = method === 'GET' ? [200, undefined] : [403, 'FORBIDDEN']
    assert.deepEqual([status, body.error?.code], wanted, `${method} ${path}`)
  }
  assert.deepEqual((await ask('GET', '/price-overrides')).body, { overrides: [] })
})

test("a key with the scope admin alone has none of a customer's rights, and with them sees its own jobs only", async () => {
  const submitted = await gateway.call('POST', '/v1/jobs/submit', {
    key: customer.key,
    body: seedBody(textToVideo),
  })
  const { jobId } = submitted.body
  const narrow = await gateway.call('GET', `/v1/jobs/${jobId}`, { key: admin.key })
  assert.equal(narrow.body.error.code, 'OPERATION_NOT_ALLOWED')
  const wide = await createKey(pool, {
    userId: operator.userId,
    mode: 'test',
    scopes: ['admin', 'check_status', 'submit_job'],
  })
  const got = await gateway.call('GET', `/v1/jobs/${jobId}`, { key: wide.key })
  assert.equal(got.body.error.code, 'UNAUTHORIZED_ACCESS')
  assert.deepEqual((await gateway.call('GET', '/v1/jobs', { key: wide.key })).body.jobs, [])
  const cancelled = await gateway.call('POST', `/v1/jobs/${jobId}/cancel`, { key: wide.key })
  assert.equal(cancelled.body.error.code, 'UNAUTHORIZED_ACCESS')
})

test('a user is found by id and by e-mail address, as the command line shows it', async () => {
  const user = (await findUser(pool, customer.userId))!
  const byId = await ask('GET', `/users/${user.userId}`)
  assert.deepEqual([byId.status, byId.body], [200, user])
  const byEmail = await ask('GET', `/users/${encodeURIComponent(user.email.toUpperCase())}`)
  assert.deepEqual(byEmail.body, user)
  assert.ok(!JSON.stringify(byId.body).includes(customer.webhookSecret))
  const nobody = await ask('GET', '/users/nobody@example.com')
  assert.deepEqual([nobody.status, nobody.body.error.code], [404, 'USER_NOT_FOUND'])
})

test('an override that is set is listed, prices the next request, is replaced by another, and goes', async () => {
  const user = (await findUser(pool, customer.userId))!
  const first = await set({ userId: user.email, modelSlug: imageToVideo, percentage: '20', note: 'trial' })
  const { id, createdAt, ...rest } = first
  assert.match(id, /^override_/)
  assert.equal(new Date(createdAt).toISOString(), createdAt)
  assert.deepEqual(rest, {
    userId: user.userId,
    segment: null,
    modelSlug: imageToVideo,
    providerId: null,
    kind: 'percentage_discount',
    percentage: '20',
    priceMicroCents: null,
    factors: null,
    note: 'trial',
  })
  assert.equal(await estimate(), 280_000)

  const second = await set({ userId: user.userId, modelSlug: imageToVideo, priceMicroCents: 1 })
  assert.deepEqual([second.kind, second.priceMicroCents, second.note], ['fixed_price', 1, null])
  assert.notEqual(second.id, id)
  assert.equal(await estimate(), 1)

  const removed = await ask('DELETE', `/price-overrides/${second.id}`)
  assert.deepEqual([removed.status, removed.body], [200, { id: second.id, removed: true }])
  assert.equal(await estimate(), 350_000)
  const again = await ask('DELETE', `/price-overrides/${second.id}`)
  assert.deepEqual([again.status, again.body.error.code], [404, 'NOT_FOUND'])
})

test('overrides of a segment, for a provider and for all, count for its users, and are listed by whom they are for', async () => {
  const member = await makeCustomer(pool)
  await assignSegment(pool, 'studios', member.userId, true)
  const all = await set({ segment: 'studios', percentage: '10.50' })
  assert.equal(all.percentage, '10.5')
  assert.equal(await estimate(member.key), 313_250)
  const ofProvider = await set({
    segment: 'studios',
    providerId: 'kling',
    factors: { duration: { '5': '4' }, quality: { std: '0.5' } },
  })
  assert.equal(await estimate(member.key), 140_000)
  const own = await set({ userId: member.userId, percentage: '1' })

  const list = async (query: string) =>
    (await ask('GET', `/price-overrides${query}`)).body.overrides.map(
      (override: { id: string }) => override.id,
    )
  assert.deepEqual(await list(''), [all.id, ofProvider.id, own.id])
  assert.deepEqual(await list('?segment=studios'), [all.id, ofProvider.id])
  assert.deepEqual(await list(`?userId=${member.userId}`), [own.id])
  for (const [query, path] of [
    ['?segment=studio', 'segment'],
    ['?userId=nobody', 'userId'],
    [`?userId=${member.userId}&segment=studios`, 'segment'],
    ['?user=x', 'user'],
  ]) {
    const { status, body } = await ask('GET', `/price-overrides${query}`)
    assert.deepEqual([status, body.error.details.issues[0].path], [400, path], query)
  }
})

test('what names nobody, no model or no terms, or both of two, is refused with every problem', async () => {
  await refused({}, ['userId', 'percentage'], /userId or segment is required/)
  await refused({ userId: 'nobody', percentage: '5' }, ['userId'], /names no user/)
  await refused(
    { segment: 'studio', modelSlug: 'kling/kling-omni-o2/image-to-video', percentage: '0' },
    ['segment', 'modelSlug', 'percentage'],
    /did you mean "studios"\?/,
  )
  await refused(
    { segment: 'studios', modelSlug: 'kling/kling-omni-o2/image-to-video', percentage: '5' },
    ['modelSlug'],
    /did you mean "kling\/kling-omni-o1\/image-to-video"\?/,
  )
  await refused(
    { segment: 'studios', providerId: 'klink', percentage: '5' },
    ['providerId'],
    /did you mean "kling"\?/,
  )
  await refused(
    { segment: 'studios', providerId: 'constructor', percentage: '5' },
    ['providerId'],
    /there are /,
  )
  await refused(
    { segment: 'studios', userId: customer.userId, percentage: '5' },
    ['segment'],
    /beside userId/,
  )
  await refused(
    { segment: 'studios', modelSlug: imageToVideo, providerId: 'kling', percentage: '5' },
    ['providerId'],
    /beside modelSlug/,
  )
  await refused(
    { segment: 'studios', percentage: '5', priceMicroCents: 1 },
    ['priceMicroCents'],
    /beside percentage/,
  )
})

test('a markup is for everybody: set, listed, and taken away; beside a user or other terms it is refused', async () => {
  const { id, createdAt, ...rest } = await set({ markup: '12.50', providerId: 'kling' })
  assert.equal(new Date(createdAt).toISOString(), createdAt)
  const nobody = { userId: null, segment: null, modelSlug: null, providerId: 'kling' }
  const terms = { kind: 'percentage_markup', percentage: '12.5', priceMicroCents: null, factors: null }
  assert.deepEqual(rest, { ...nobody, ...terms, note: null })
  assert.equal(await estimate(), 393_750)
  const listed = (await ask('GET', '/price-overrides')).body.overrides
  assert.ok(listed.some((override: { id: string }) => override.id === id))
  await refused(
    { markup: '5', userId: customer.userId, percentage: '5' },
    ['userId', 'percentage'],
    /beside markup/,
  )
  for (const markup of ['-1', '+1', '1000.1', '1e2', '', '5%']) {
    await refused({ markup }, ['markup'], /a plain decimal from 0 to 1000/)
  }
  assert.equal((await ask('DELETE', `/price-overrides/${id}`)).status, 200)
  assert.equal(await estimate(), 350_000)
})

test('terms that no price can be made of are refused', async () => {
  for (const percentage of ['0', '0.0', '100.1', '101', '-5', '1e1', ' 5', '5%', '', 'NaN']) {
    await refused(
      { segment: 'studios', percentage },
      ['percentage'],
      /a plain decimal above 0 and at most 100/,
    )
  }
  for (const priceMicroCents of [-1, 0.5, '1', 1e300, 1_000_000_000_000_000]) {
    await refused({ segment: 'studios', priceMicroCents }, ['priceMicroCents'], /priceMicroCents must/)
  }
  const factors = (
    value: unknown,
    paths: string[],
    message: RegExp,
    modelSlug: string | undefined = imageToVideo,
  ) => refused({ segment: 'studios', modelSlug, factors: value }, paths, message)
  await factors({}, ['factors'], /must name an option/)
  await factors({ duration: {} }, ['factors'], /must name an option/)
  await factors({ durration: { '5': '1' } }, ['factors.durration'], /did you mean "duration"\?/)
  await factors({ fps: { '24': '1' } }, ['factors.fps'], /there are duration, quality/)
  await factors({ duration: { '7': '1' } }, ['factors.duration.7'], /those of duration are 5, 10/)
  await factors({ duration: { '5': '-1' } }, ['factors.duration.5'], /a plain decimal/)
  const huge = '999999999'
  await factors({ duration: { '5': huge }, quality: { pro: huge } }, ['factors'], /cost more than/)
  await factors({ toString: { '5': '1' } }, ['factors.toString'], /not a field that has a price/)
  await refused(
    { segment: 'studios', factors: { fps: { '25': '1' }, colour: { red: '2' } } },
    ['factors.fps.25', 'factors.colour'],
    /those of fps are 24, 30, 60/,
  )
  // of all models one with the field is enough
  await set({ segment: 'studios', factors: { fps: { '60': '1.5' } } })
})
