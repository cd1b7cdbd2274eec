import assert from 'node:assert/strict'
import { test } from 'node:test'
import { atEnd } from './at-end.ts'
import { ledgerProblems } from './database.ts'
import { promptOf, startLiveGateway } from './live-fixture.ts'
import { textToVideo } from './seeds.ts'
import { until } from './until.ts'
import { type FalBehaviour, startFal } from './upstreams/fal.ts'
import { type Behaviour, startKling } from './upstreams/kling.ts'
import { listen } from './webhook-fixture.ts'

const behaviours = new Map<string, Behaviour>()
const falBehaviours = new Map<string, FalBehaviour>()
// what ends by itself is told by a callback; what does not, nobody would ask about for a minute
const takesMs = 200
const kling = await startKling({ behave: ({ body }) => ({ takesMs, ...behaviours.get(promptOf(body)) }) })
const fal = await startFal({ behave: ({ body }) => ({ takesMs, ...falBehaviours.get(promptOf(body)) }) })
// one upstream each, as what fails at one would send the others' jobs to the other
const atKling = await startLiveGateway({ kling: { apiKey: kling.apiKey, baseUrl: kling.url } })
const atFal = await startLiveGateway({ fal: { apiKey: fal.apiKey, baseUrl: fal.url } })
atEnd(async () => void (await Promise.all([kling.stop(), fal.stop()])))
const files = await listen((_, response) => response.writeHead(404).end())

let prompts = 0
const nextPrompt = () => `A lake, number ${++prompts}.`

async function endTime(jobId: string): Promise<void> {
  const { pool } = atKling
  await atKling.accepted(jobId)
  await pool.query("update jobs set deadline_at = now() - interval '1 s' where id = $1", [jobId])
  await pool.query('update polls set due_at = now() where job_id = $1', [jobId])
}

/** It can't be had within the time that jobs wait for their upstream. */
async function endPatience(jobId: string): Promise<void> {
  const { pool } = atKling
  const isRefused = "select from attempts where job_id = $1 and status = 'refused'"
  await until(async () => (await pool.query(isRefused, [jobId])).rowCount === 1)
  await pool.query("update jobs set created_at = now() - interval '25 hours' where id = $1", [jobId])
  await pool.query('delete from upstream_closures')
  // what waits is looked at in a while, and may be under way just now
  const ended = "select from jobs where id = $1 and status = 'failed'"
  await until(async () => {
    await pool.query(
      "select graphile_worker.reschedule_jobs(array[id], run_at => now()) from graphile_worker.jobs where key = 'dispatch:' || $1",
      [jobId],
    )
    return (await pool.query(ended, [jobId])).rowCount === 1
  })
}

const gone = [{ id: '1', url: `${files}/gone.mp4`, duration: '5' }]

/** What Kling answers, and which of our codes the job fails with. */
const klingFailures: [name: string, Behaviour, code: string, meanwhile?: (jobId: string) => Promise<void>][] =
  [
    ['a task that failed', { fail: 'Internal generation failure' }, 'GENERATION_FAILED'],
    ['400/1200 at the submit', { refuse: { code: 1200 } }, 'GENERATION_FAILED'],
    ['400/1301 at the submit', { refuse: { code: 1301 } }, 'CONTENT_POLICY_VIOLATION'],
    [
      'a task that failed by its content',
      { fail: 'Failure to pass the risk control system' },
      'CONTENT_POLICY_VIOLATION',
    ],
    ['a task that never ends', { takesMs: 86_400_000 }, 'PROVIDER_TIMEOUT', endTime],
    ['a film that is not there', { outputs: gone }, 'OUTPUT_UNAVAILABLE'],
    ['503/5001 for an hour', { refuse: { code: 5001 } }, 'PROVIDER_UNAVAILABLE', endPatience],
    ['429/1302 for a day', { refuse: { code: 1302 } }, 'PROVIDER_UNAVAILABLE', endPatience],
    ['429/1101, no money, for an hour', { refuse: { code: 1101 } }, 'PROVIDER_UNAVAILABLE', endPatience],
  ]
for (const [name, behaviour, code, meanwhile] of klingFailures) {
  test(`at Kling ${name} makes ${code}, refunded once`, async () => {
    const prompt = nextPrompt()
    behaviours.set(prompt, behaviour)
    const jobId = await atKling.order('kling/kling-omni-o1/text-to-video', { prompt, duration: '5' })
    await meanwhile?.(jobId)
    await atKling.fails(jobId, code)
    await atKling.pool.query('with gone as (delete from upstream_closures) delete from upstreams')
  })
}

/** The same of fal. */
const falFailures: [name: string, FalBehaviour, code: string][] = [
  ['a result 422 content_policy_violation', { fail: 'content_policy_violation' }, 'CONTENT_POLICY_VIOLATION'],
  ['a result 422 file_download_error', { fail: 'file_download_error' }, 'INPUT_MEDIA_UNREACHABLE'],
  ['a result 422 image_too_small', { fail: 'image_too_small' }, 'INPUT_MEDIA_INVALID'],
  ['a result 504 generation_timeout', { fail: 'generation_timeout' }, 'PROVIDER_TIMEOUT'],
  ['a result 500 internal_server_error', { fail: 'internal_server_error' }, 'GENERATION_FAILED'],
]
for (const [name, behaviour, code] of falFailures) {
  test(`at fal ${name} makes ${code}, refunded once`, async () => {
    const prompt = nextPrompt()
    falBehaviours.set(prompt, behaviour)
    await atFal.fails(await atFal.order(textToVideo, { prompt, duration: '5' }), code)
  })
}

test('the ledgers balance after all of this', async () => {
  for (const { pool } of [atKling, atFal]) assert.deepEqual(await ledgerProblems(pool), [])
})
