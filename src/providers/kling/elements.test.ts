import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CustomerFiles, withCustomerFiles } from '../../../test/customer-files.ts'
import { type Behaviour, type KlingServer, startKling } from '../../../test/upstreams/kling.ts'
import type { InputMedia, Json, PrepareOutcome, Provider, ProviderRequest } from '../provider.ts'
import { accepted, call, contextOf, pollOne, requestOf } from './fixture.ts'
import { kling } from './kling.ts'

const apiKey = 'key'
const url = 'https://customer.example.com/file'
const resource = '/v1/general/advanced-custom-elements'

interface Bench {
  server: KlingServer
  provider: Provider
  files: CustomerFiles
  /** How Kling behaves from now on. */
  behave(behaviour: Behaviour): void
  /** A job with two elements, of two pictures and of one. */
  request: ProviderRequest
}

async function onBench(run: (bench: Bench) => Promise<void>, keys: object = { apiKey }): Promise<void> {
  let behaviour: Behaviour = {}
  const server = await startKling({ ...keys, behave: () => behaviour })
  try {
    await withCustomerFiles(async (files) => {
      const picture = await files.picture()
      const input = {
        prompt: 'Ann waves',
        image_url: url,
        elements: [
          { characterImages: [url, url], name: 'Ann, whose name is far too long' },
          { characterImages: [url] },
        ],
      }
      const pictures = await Promise.all(
        [
          [640, 360],
          [400, 400],
          [360, 640],
        ].map(([width = 0, height = 0]) => files.picture({ width, height })),
      )
      const media = { image_url: [picture], 'elements.characterImages': pictures }
      await run({
        server,
        files,
        provider: kling.open({ baseUrl: server.url, ...keys }),
        behave: (next) => {
          behaviour = next
        },
        request: requestOf('image-to-video/kling-3.0', input, { media }),
      })
    })
  } finally {
    await server.stop()
  }
}

const context = (files: CustomerFiles) => contextOf({ publish: files.publish })

/** Asks until it is ready, as the gateway does. */
async function ready({ provider, files, request }: Bench): Promise<Json> {
  for (let tries = 0; tries < 5; tries += 1) {
    const outcome = await provider.prepare!(request, context(files))
    if (outcome.outcome === 'ready') return outcome.prepared
    assert.equal(outcome.outcome, 'pending')
  }
  assert.fail('it was never ready')
}

const posts = ({ server }: Bench) => server.transcript.filter(({ method }) => method === 'POST')

test('a job without elements has nothing to be made ready, and nothing is asked', async () => {
  await onBench(async ({ provider, server }) => {
    const outcome = await provider.prepare!(
      requestOf('text-to-video/kling-3.0', { prompt: 'On' }),
      contextOf(),
    )
    assert.deepEqual(outcome, { outcome: 'ready', prepared: null })
    assert.equal(server.transcript.length, 0)
  })
})

for (const keys of [{ apiKey }, { accessKey: 'access', secretKey: 'a-secret-of-many-characters' }]) {
  test(`elements are made once, sent with all 64 bits of their ids, and deleted after the job (${Object.keys(keys)[0]})`, async () => {
    await onBench(async (bench) => {
      const { provider, files, request } = bench
      const { media: _, ...described } = request
      assert.deepEqual(await provider.prepare!(described, context(files)), { outcome: 'files' })
      const prepared = await ready(bench)
      // the files are wanted no more
      assert.deepEqual(await provider.prepare!(described, context(files)), { outcome: 'ready', prepared })
      assert.equal(posts(bench).length, 2)
      const { elements } = prepared as { elements: { id: string; alias: string }[] }
      assert.deepEqual(
        elements.map(({ alias }) => alias),
        ['element_1', 'element_2'],
      )
      assert.ok(elements.every(({ id }) => BigInt(id) > BigInt(Number.MAX_SAFE_INTEGER)))

      const operation = await accepted(provider.submit({ ...request, prepared }, context(files)))
      assert.equal((await pollOne(provider, operation)).status, 'succeeded')
      const found = await provider.find!(request, call())
      assert.deepEqual(found, { outcome: 'found', operation })

      await provider.forget!(operation, call())
      const deleted = posts(bench).filter(({ path }) => path.includes('delete'))
      assert.deepEqual(
        deleted.map(({ body }) => body),
        elements.map(({ id }) => ({ element_id: id })),
      )
      assert.ok(deleted.every(({ status }) => status === 200))
      const sent = posts(bench).length
      await provider.forget!(operation, call())
      assert.equal(posts(bench).length, sent)
    }, keys)
  })
}

test('an element has its own pictures, a short name, and the first picture twice where there is but one', async () => {
  await onBench(async (bench) => {
    await ready(bench)
    const bodies = posts(bench).map(
      ({ body }) =>
        body as Record<string, Json> & {
          element_image_list: { frontal_image: string; refer_images: { image_url: string }[] }
        },
    )
    const pictures = bodies.map(({ element_image_list: { frontal_image, refer_images } }) =>
      [frontal_image, ...refer_images.map(({ image_url }) => image_url)].map((one) => one.split('-').at(-1)),
    )
    assert.deepEqual(pictures, [
      ['640x360.png', '400x400.png'],
      ['360x640.png', '360x640.png'],
    ])
    assert.deepEqual(
      bodies.map(({ element_name }) => element_name),
      ['Ann, whose name is f', 'element_2'],
    )
    assert.deepEqual(
      bodies.map(({ external_task_id }) => external_task_id),
      [`${bench.request.jobId}-e1`, `${bench.request.jobId}-e2`],
    )
  })
})

test('an element whose making got no answer is found, or made again, but never twice', async () => {
  await onBench(async (bench) => {
    const { provider, files, request, behave, server } = bench
    for (const lose of ['after', 'before'] as const) {
      behave({ lose })
      const outcome = await provider.prepare!(request, context(files))
      assert.equal(outcome.outcome, 'unavailable')
    }
    behave({})
    await ready(bench)
    const made = [...server.tasks.values()].filter(({ path }) => path === resource)
    assert.deepEqual(made.map(({ externalId }) => externalId).sort(), [
      `${request.jobId}-e1`,
      `${request.jobId}-e2`,
    ])
  })
})

test('one that another run has made in the meantime is waited for', async () => {
  await onBench(async ({ provider, files, request, server, behave }) => {
    const absent = { status: 400, body: { code: 1201, message: 'Task not found by id/external id' } }
    behave({ takesMs: Number.POSITIVE_INFINITY })
    assert.equal((await provider.prepare!(request, context(files))).outcome, 'pending')
    const made = server.tasks.size
    server.interrupt(/^GET \/v1\/general/, absent, 2)
    assert.equal((await provider.prepare!(request, context(files))).outcome, 'pending')
    assert.equal(server.tasks.size, made)
  })
})

test('what is wrong with making an element is told as with a job: to wait, to close, or to go elsewhere', async () => {
  const prepare = (
    behaviour: Behaviour,
    change: (request: ProviderRequest) => ProviderRequest = (same) => same,
  ) =>
    new Promise<PrepareOutcome>((resolve, reject) => {
      onBench(async ({ provider, files, request, behave }) => {
        behave(behaviour)
        await provider.prepare!(change(request), context(files))
        const outcome = await provider.prepare!(change(request), context(files))
        resolve(outcome)
      }).catch(reject)
    })
  assert.equal((await prepare({ refuse: { code: 1303 } })).outcome, 'busy')
  assert.equal((await prepare({ refuse: { code: 5000 } })).outcome, 'unavailable')
  const refused = async (...given: Parameters<typeof prepare>) => {
    const outcome = await prepare(...given)
    return outcome.outcome === 'refused' ? outcome : assert.fail(outcome.outcome)
  }
  const suspended = await prepare({ refuse: { code: 1102 } })
  assert.ok(suspended.outcome === 'suspended' && suspended.scope === 'model')
  assert.equal((await refused({ refuse: { code: 1201 } })).elsewhere, true)
  assert.equal((await refused({ refuse: { code: 1301 } })).code, 'CONTENT_POLICY_VIOLATION')
  const failed = await refused({ fail: 'no face was found' })
  assert.deepEqual(
    [failed.code, failed.message.split(':')[0]],
    ['INPUT_MEDIA_INVALID', 'elements[0].characterImages'],
  )
  assert.equal((await refused({ fail: 'risk control' })).code, 'CONTENT_POLICY_VIOLATION')
  const shrunk = (picture: InputMedia): InputMedia =>
    picture.kind === 'image' ? { ...picture, width: 200 } : picture
  const small = await refused({}, (request) => ({
    ...request,
    media: {
      ...request.media,
      'elements.characterImages': request.media['elements.characterImages']!.map(shrunk),
    },
  }))
  assert.match(small.message, /^elements\[0\]\.characterImages\[0\]: .*300 pixels/)
})

test('a lookup that gets no answer makes nothing', async () => {
  await onBench(async ({ provider, files, request, server }) => {
    server.interrupt(/^GET \/v1\/general/, { status: 500, body: { code: 5000, message: 'inside' } }, 1)
    await assert.rejects(provider.prepare!(request, context(files)))
    assert.equal(server.tasks.size, 0)
  })
})

test("an element that was made for another job is never taken for one of this job's", async () => {
  await onBench(async ({ provider, files, request, server }) => {
    const data = {
      task_id: '1',
      task_status: 'succeed',
      task_info: { external_task_id: 'job-of-somebody-else-e1' },
      task_result: { elements: [{ element_id: 5 }] },
    }
    server.interrupt(/^GET \/v1\/general/, { status: 200, body: { code: 0, data } }, 9)
    await assert.rejects(provider.prepare!(request, context(files)), /nothing that can be used/)
  })
})
