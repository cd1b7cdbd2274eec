import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCanvas, loadImage } from '@napi-rs/canvas'
import type {
  InputMedia,
  PrepareOutcome,
  Provider,
  ProviderRequest,
  SubmitContext,
  SubmitOutcome,
} from '../src/providers/provider.ts'
import type { Storage } from '../src/storage/storage.ts'
import { deleteOldUploads } from '../src/uploads/uploads.ts'
import { cloneDatabase, makeCustomer, transfersOf } from './database.ts'
import { startGateway } from './gateway.ts'
import { imageToVideo, seedBody } from './seeds.ts'
import { until } from './until.ts'

const { pool, url } = await cloneDatabase()
const customer = await makeCustomer(pool, { mode: 'live', microCents: 1_000_000_000n })
const webp = await createCanvas(320, 200).encode('webp')
const refused: SubmitOutcome = { outcome: 'refused', code: 'GENERATION_FAILED', message: 'Seen.' }

type Submit = (file: InputMedia, context: SubmitContext) => Promise<SubmitOutcome>
type Prepare = (file: InputMedia) => Promise<PrepareOutcome>

/** What the upstream does with a job is in its prompt's place. */
const submits = new Map<string, Submit>()
const prepares = new Map<string, Prepare>()

function upstream(name: string): Provider {
  const promptOf = ({ input }: Pick<ProviderRequest, 'input'>) => String(input.prompt)
  return {
    name,
    pollBatch: 1,
    pollDelayMs: () => 60_000,
    timeLimitMs: () => 60_000,
    async prepare(request) {
      const prepare = prepares.get(promptOf(request))
      if (prepare === undefined) return { outcome: 'ready', prepared: null }
      return 'media' in request ? prepare(request.media.image_url![0]!) : { outcome: 'files' }
    },
    submit: async (request, context) =>
      submits.get(promptOf(request))!(request.media.image_url![0]!, context),
    poll: async (operations) => operations.map(() => ({ status: 'running' })),
  }
}

let storage: Storage | undefined
let puts = (_key: string): Promise<void> | undefined => undefined
const failing = (inner: Storage): Storage => {
  storage = inner
  return {
    ...inner,
    async put(key, ...rest) {
      await puts(key)
      return inner.put(key, ...rest)
    },
  }
}
const reachable = await startGateway({
  databaseUrl: url,
  allowPrivateNetwork: true,
  upstreams: [upstream('lender')],
  wrapStorage: failing,
})

let prompts = 0
async function submit(
  what: Submit,
  {
    gateway = reachable,
    key = customer.key,
    prepare,
  }: { gateway?: typeof reachable; key?: string; prepare?: Prepare } = {},
) {
  const prompt = `job ${++prompts}`
  submits.set(prompt, what)
  if (prepare) prepares.set(prompt, prepare)
  const presigned = await gateway.call('POST', '/v1/uploads/presign', {
    key,
    body: { filename: 'x.webp', contentType: 'image/webp' },
  })
  const { uploadUrl, fileUrl } = presigned.body.data
  const put = await gateway.call('PUT', uploadUrl, {
    body: webp,
    headers: { 'content-type': 'image/webp' },
  })
  assert.equal(put.status, 200)
  const { input } = seedBody(imageToVideo)
  const body = { model: imageToVideo, input: { ...input, prompt, image_url: fileUrl } }
  const answer = await gateway.call('POST', '/v1/jobs/submit', { key, body })
  assert.equal(answer.status, 200, JSON.stringify(answer.body))
  return answer.body.jobId as string
}

const ended = (jobId: string) => reachable.ended(jobId, customer.key)
const attemptsOf = async (jobId: string) => {
  const { rows } = await pool.query<{ status: string; cause: string }>(
    'select status, cause from attempts where job_id = $1 order by number',
    [jobId],
  )
  return rows
}
const failuresOf = async (name: string) => {
  const { rows } = await pool.query<{ failures: number }>('select failures from upstreams where name = $1', [
    name,
  ])
  return rows[0]?.failures ?? 0
}

suite('an input file', () => {
  test('is fetched by the upstream as it was made for it, also when the upload it came from is gone', async () => {
    const given = Promise.withResolvers<{ file: InputMedia; url: string; callbackUrl: string | undefined }>()
    const jobId = await submit(async (file, context) => {
      given.resolve({ file, url: (await context.publish(file))!, callbackUrl: context.callbackUrl })
      return { outcome: 'accepted', operation: 'op' }
    })
    const { file, url: lent, callbackUrl } = await given.promise
    // nobody can pass on the address of the original, which this is not
    assert.deepEqual([file.contentType, file.sourceUrl], ['image/png', undefined])
    await until(async () => (await attemptsOf(jobId))[0]?.status === 'accepted')
    await pool.query("update uploads set expires_at = now() - interval '2 days'")
    await deleteOldUploads(pool, storage!, new Date())
    assert.ok(callbackUrl?.startsWith(`${reachable.url}/callbacks/lender/${jobId}.`), callbackUrl)
    const fetched = await fetch(lent)
    assert.deepEqual([fetched.status, fetched.headers.get('content-type')], [200, 'image/png'])
    const image = await loadImage(Buffer.from(await fetched.arrayBuffer()))
    assert.deepEqual([image.width, image.height], [320, 200])
  })

  test('that is made into another type says so in the timeline, once', async () => {
    let sends = 0
    const jobId = await submit(async () =>
      ++sends === 1 ? { outcome: 'busy', retryAfterMs: 1, cause: new Error('busy') } : refused,
    )
    await ended(jobId)
    const { rows } = await pool.query<{ detail: unknown }>(
      "select detail from job_events where job_id = $1 and kind = 'media_made'",
      [jobId],
    )
    const change = { media: 'image_url', from: 'image/webp', to: 'image/png' }
    assert.deepEqual(rows, [{ detail: { files: [{ ...change, changes: ['made anew without metadata'] }] } }])
    assert.equal(sends, 2)
    const events = await reachable.call('GET', `/v1/jobs/${jobId}/events`, { key: customer.key })
    assert.match(
      JSON.stringify(events.body),
      /image_url: image\/webp to image\/png, made anew without metadata/,
    )
  })

  for (const handsOn of [true, false]) {
    test(`that cannot be stored now is sent later, at no fault of the upstream: its adapter ${handsOn ? 'hands it on' : 'throws'}`, async () => {
      let failed = 0
      puts = (key) => {
        if (key.startsWith('inputs/') && failed++ === 0)
          return Promise.reject(new Error('secret-bucket is full'))
        return undefined
      }
      let failuresAtSend: number | undefined
      const jobId = await submit(async (file, { publish }) => {
        try {
          await publish(file)
        } catch (cause) {
          if (handsOn) return { outcome: 'unavailable', cause }
          throw cause
        }
        failuresAtSend = await failuresOf('lender')
        return refused
      })
      const job = await ended(jobId)
      assert.match(job.error.message, /^Seen\./)
      const statuses = (await attemptsOf(jobId)).map(({ status }) => status)
      assert.deepEqual([failed > 0, statuses], [true, ['refused', 'refused']])
      assert.equal(failuresAtSend, 0)
    })
  }

  test('is served by a server that stops, until the upstream has been given the job', async () => {
    const { pool: otherPool, url: otherUrl } = await cloneDatabase()
    const gateway = await startGateway({
      databaseUrl: otherUrl,
      allowPrivateNetwork: true,
      upstreams: [upstream('lender')],
    })
    const { key } = await makeCustomer(otherPool, { mode: 'live', microCents: 1_000_000_000n })
    const fetched = Promise.withResolvers<number>()
    const jobId = await submit(
      async (file, { publish }) => {
        const lent = (await publish(file))!
        void gateway.stop()
        await sleep(500)
        const answer = await fetch(lent).catch(() => ({ status: 0 }))
        fetched.resolve(answer.status)
        return { outcome: 'accepted', operation: 'op' }
      },
      { gateway, key },
    )
    assert.equal(await fetched.promise, 200)
    await gateway.stop()
    const { rows } = await otherPool.query('select status from attempts where job_id = $1', [jobId])
    assert.deepEqual(rows, [{ status: 'accepted' }])
  })

  test('that cannot be made into what the upstream takes ends the job, and nothing is sent', async () => {
    let sent = 0
    const { pool: otherPool, url: otherUrl } = await cloneDatabase()
    const picky = { ...upstream('picky'), takes: { image: ['image/gif'] } }
    const gateway = await startGateway({
      databaseUrl: otherUrl,
      allowPrivateNetwork: true,
      upstreams: [picky],
    })
    const { key } = await makeCustomer(otherPool, { mode: 'live', microCents: 1_000_000_000n })
    const send = async () => {
      sent += 1
      return refused
    }
    const jobId = await submit(send, { gateway, key })
    const { error } = await gateway.ended(jobId, key)
    assert.equal(error.code, 'INPUT_MEDIA_INVALID')
    assert.match(error.message, /^image_url: The provider takes image\/gif alone\. The credits/)
    assert.deepEqual(await transfersOf(otherPool, jobId), { charges: 1, refunds: 1 })
    assert.equal(sent, 0)
  })
})

test('an upstream that cannot reach this server is given neither files nor an address to call back', async () => {
  const { pool: otherPool, url: otherUrl } = await cloneDatabase()
  const gateway = await startGateway({ databaseUrl: otherUrl, upstreams: [upstream('inward')] })
  const { key } = await makeCustomer(otherPool, { mode: 'live', microCents: 1_000_000_000n })
  const jobId = await submit(
    async (file, context) => {
      const url = await context.publish(file)
      return {
        ...refused,
        message: JSON.stringify([url ?? null, context.callbackUrl ?? null]),
      } as SubmitOutcome
    },
    { gateway, key },
  )
  const { error } = await gateway.ended(jobId, key)
  assert.match(error.message, /^\[null,null\]/)
  assert.equal((await otherPool.query('select from lent_files')).rowCount, 0)
})
