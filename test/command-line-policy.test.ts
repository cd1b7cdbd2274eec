import assert from 'node:assert/strict'
import { test } from 'node:test'
import { database, fails, filmgate, json } from './command-line.ts'
import { makeCustomer } from './database.ts'
import { startGateway } from './gateway.ts'
import { imageToVideo, seedBody, textToVideo } from './seeds.ts'

/** The e-mail address of a customer, and a key that estimates for it. */
async function makeAgreed() {
  const customer = await makeCustomer(database.pool)
  const { rows } = await database.pool.query('select email from users where id = $1', [customer.userId])
  return { ...customer, email: rows[0].email as string }
}

test('a user is listed, kept out, let in and limited, and so is a key', async () => {
  const { userId, email, keyId } = await makeAgreed()
  const [banned, limited, unlimited, list, human] = [
    await json(`user status ${email} banned`),
    await json(`user limit ${email} 7`),
    await json(`user limit ${userId} unlimited`),
    await json('user list --limit 1'),
    await filmgate('user list'),
  ]
  assert.deepEqual([banned.userId, banned.status, limited.concurrencyLimit], [userId, 'banned', 7])
  assert.deepEqual(list.users, [unlimited])
  assert.deepEqual([unlimited.concurrencyLimit, unlimited.status], [null, 'banned'])
  assert.match(human.stdout, new RegExp(`^${userId} +${email} +banned +\\$0\\.00 +\\$10\\.00$`, 'm'))
  assert.equal((await json(`user status ${email} active`)).status, 'active')

  const [some, none] = [await json(`key limit ${keyId} 60`), await json(`key limit ${keyId} unlimited`)]
  assert.deepEqual([some.keyId, some.requestsPerMinute, none.requestsPerMinute], [keyId, 60, null])
  await Promise.all([
    fails(`user status ${email} gone`, 2, /Allowed choices are active, inactive, banned/),
    fails(`user limit ${email} 0`, 2, /a whole number from 1 up, or "unlimited"/),
    fails('user status nobody@example.com banned', 1, /there is no user nobody@example\.com/),
    fails('key limit key_none 5', 1, /there is no key key_none/),
  ])
})

test('a segment is made, filled and emptied, and goes only when nothing uses it', async () => {
  const { userId, email } = await makeAgreed()
  const made = await json('segment create studios --description Film')
  assert.deepEqual(made, { name: 'studios', description: 'Film', users: 0 })
  const member = await json(`segment add studios ${email}`)
  assert.deepEqual([member.userId, member.segments], [userId, ['studios']])
  await json(`price override set --segment studios --discount 1`)
  await json(`model visibility ${textToVideo} segment --segments studios`)
  const [list, shown] = await Promise.all([
    json('segment list'),
    filmgate(`user show ${email}`),
    fails('segment create studios', 1, /there is a segment studios already/),
    fails('segment create Studios', 2, /lower-case letters/),
    fails(
      'segment remove studios',
      1,
      /still used; .* users \(segment drop\): 1, models \(model visibility\): 1, price overrides .*: 1\n/,
    ),
    fails(`segment add studio ${email}`, 1, /there is no segment studio; did you mean "studios"\?/),
    fails('segment remove studio', 1, /there is no segment studio; did you mean "studios"\?/),
    fails('segment drop studios nobody@example.com', 1, /there is no user/),
  ])
  assert.deepEqual(list.segments, [{ name: 'studios', description: 'Film', users: 1 }])
  assert.match(shown.stdout, /^segments +studios$/m)

  const { overrides } = await json('price override list --segment studios')
  assert.deepEqual((await json(`segment drop studios ${userId}`)).segments, [])
  await json(`price override remove ${overrides[0].id}`)
  await json(`model visibility ${textToVideo} public`)
  assert.deepEqual(await json('segment remove studios'), { name: 'studios', removed: true })
})

test('a model is hidden, opened to one user, limited and put out of use, and all of it taken back', async () => {
  const { email } = await makeAgreed()
  const slug = imageToVideo
  const fresh = await json(`model show ${slug}`)
  assert.deepEqual(
    [fresh.slug, fresh.providerId, fresh.visibility, fresh.segments, fresh.overrides],
    [slug, 'kling', 'public', [], []],
  )
  assert.deepEqual(fresh.versions, [
    {
      version: 'v1.0',
      status: 'active',
      catalogueStatus: 'active',
      isCurrent: true,
      defaultPriceMicroCents: 350_000,
      requestsPerMinute: null,
      requestsPerDay: null,
    },
  ])
  assert.equal((await json(`model visibility ${slug} private`)).visibility, 'private')
  assert.deepEqual((await json('model visibility')).models, [{ slug, visibility: 'private', segments: [] }])
  assert.deepEqual((await json(`model allow ${slug} ${email}`)).allowedModels, [slug])
  await json(`model limit ${slug} v1.0 --per-minute 5 --per-day 100`)
  await json(`model limit ${slug} v1.0 --per-minute unlimited`)
  const [version] = (await json(`model version ${slug} v1.0 disabled`)).versions
  assert.deepEqual(
    [version.status, version.catalogueStatus, version.isCurrent],
    ['disabled', 'active', false],
  )
  assert.deepEqual([version.requestsPerMinute, version.requestsPerDay], [null, 100])
  const human = await filmgate(`model show ${slug}`)
  assert.match(human.stdout, /^for +private$/m)
  assert.match(human.stdout, /^v1\.0 +disabled \(catalogue: active\) +\$0\.35 +unlimited +100$/m)

  await json(`model version ${slug} v1.0 catalogue`)
  await json(`model limit ${slug} v1.0 --per-day unlimited`)
  assert.deepEqual((await json(`model disallow ${slug} ${email}`)).allowedModels, [])
  assert.deepEqual(await json(`model visibility ${slug} public`), fresh)
})

test('what cannot be set of a model is refused with the remedy', async () => {
  const slug = imageToVideo
  await Promise.all([
    fails(
      'model show kling/kling-omni-o2/image-to-video',
      1,
      /there is no model kling\/kling-omni-o2\/image-to-video; did you mean "kling\/kling-omni-o1\/image-to-video"\?/,
    ),
    fails(`model visibility ${slug} hidden`, 2, /Allowed choices are public, private, segment/),
    fails(`model visibility ${slug}`, 1, /say who sees it/),
    fails(`model visibility ${slug} segment`, 1, /--segments a,b/),
    fails(`model visibility ${slug} private --segments a`, 1, /--segments does not go with private/),
    fails(`model visibility ${slug} segment --segments nosuch`, 1, /there is no segment nosuch/),
    fails(`model version ${slug} v9.9 active`, 1, /has no version v9\.9; there are v1\.0/),
    fails(`model version ${slug} v1.0 gone`, 2, /Allowed choices are active, deprecated/),
    fails(`model limit ${slug} v1.0`, 1, /give --per-minute or --per-day/),
    fails(`model limit ${slug} v1.0 --per-day 0`, 2, /a whole number from 1 up, or "unlimited"/),
    fails(`model allow ${slug} nobody@example.com`, 1, /there is no user/),
  ])
})

test('a price override is set, shows what it does, prices jobs, is replaced and removed', async () => {
  const gateway = await startGateway({ databaseUrl: database.url, role: 'api' })
  const { userId, email, key } = await makeAgreed()
  const submit = async () => {
    const body = seedBody(imageToVideo)
    return (await gateway.call('POST', '/v1/jobs/submit', { key, body })).body
  }
  const plain = await submit()
  const first = await json(
    `price override set --user ${email} --model ${imageToVideo} --discount 20 --note contract-7`,
  )
  assert.deepEqual(first.effects, [
    { modelSlug: imageToVideo, listMicroCents: 350_000, costMicroCents: 280_000 },
  ])
  assert.deepEqual(
    [first.userId, first.segment, first.modelSlug, first.kind, first.percentage, first.note],
    [userId, null, imageToVideo, 'percentage_discount', '20', 'contract-7'],
  )
  const discounted = await submit()
  assert.deepEqual([plain.costMicroCents, discounted.costMicroCents], [350_000, 280_000])

  // for the provider's other models, as the more specific one stands for this
  const wide = await json(`price override set --user ${email} --provider kling --fixed 0`)
  const models = wide.effects.map((effect: { modelSlug: string }) => effect.modelSlug)
  assert.ok(models.length > 0 && !models.includes(imageToVideo))
  const human = await filmgate(
    `price override set --user ${email} --model ${imageToVideo} --factor duration.5=4 --factor quality.std=0.5`,
  )
  assert.match(human.stdout, /quality\.std × 0\.5, duration\.5 × 4/)
  assert.match(human.stdout, new RegExp(`^${imageToVideo} +\\$0\\.35 → \\$0\\.14$`, 'm'))
  assert.equal((await submit()).costMicroCents, 140_000)

  const [list, shown, jobs] = await Promise.all([
    json(`price override list --user ${userId}`),
    json(`model show ${imageToVideo}`),
    Promise.all([plain, discounted].map(({ jobId }) => json(`job show ${jobId}`))),
  ])
  assert.deepEqual(
    list.overrides.map((override: { kind: string; factors: unknown }) => [override.kind, override.factors]),
    [
      ['fixed_price', null],
      ['custom_dynamic', { duration: { 5: '4' }, quality: { std: '0.5' } }],
    ],
  )
  assert.equal(shown.overrides.length, 2)
  assert.deepEqual(
    jobs.map((job) => job.priceBasis),
    ['list', first.id],
  )
  for (const { id } of list.overrides)
    assert.deepEqual(await json(`price override remove ${id}`), { id, removed: true })
  assert.equal((await submit()).costMicroCents, 350_000)
})

test('a price override that fits no user, model, field or option is refused, by the options as they are written', async () => {
  const { email } = await makeAgreed()
  const set = `price override set --user ${email} --model ${imageToVideo}`
  await Promise.all([
    fails(
      'price override set',
      1,
      /--user or --segment is required; --discount or --fixed or --factor is required/,
    ),
    fails('price override set --user nobody --discount 5', 1, /--user names no user/),
    fails('price override set --segment nosuch --discount 5', 1, /--segment names no segment/),
    fails(`price override set --user ${email} --provider klink --discount 5`, 1, /did you mean "kling"\?/),
    fails(`${set}s --fixed 5`, 1, /--model names no model; did you mean/),
    fails(`${set} --discount 101`, 2, /must be a plain decimal above 0 and at most 100/),
    fails(`${set} --discount 5 --fixed 5`, 1, /--fixed cannot stand beside --discount/),
    fails(`${set} --fixed 0.5`, 2, /whole number of micro-cents/),
    fails(`${set} --factor duration=2`, 2, /field\.option=multiplier/),
    fails(
      `${set} --factor durations.5=2`,
      1,
      /--factor durations is not a field .* did you mean "duration"\?/,
    ),
    fails(`${set} --factor duration.1.5=2`, 1, /--factor duration\.1\.5 is not an option; .* are 5, 10/),
    // an option may hold anything: the last equals sign is the one
    fails(`${set} --factor quality.a.b:c=d=2`, 1, /--factor quality\.a\.b:c=d is not an option/),
    fails(`${set} --factor duration.5=x`, 2, /duration\.5 must have a plain decimal/),
    fails('price override list --segment nosuch', 1, /--segment names no segment/),
    fails('price override remove override_none', 1, /there is no price override override_none/),
  ])
})
