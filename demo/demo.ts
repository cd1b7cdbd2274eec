import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { createKey } from '../src/accounts/keys.ts'
import { createUser, findUser } from '../src/accounts/users.ts'
import { type Api, createApi } from '../src/cli/api.ts'
import { table, withDatabase } from '../src/cli/output.ts'
import { createProgress } from '../src/cli/progress.ts'
import { download, upload } from '../src/cli/transfer.ts'
import { type Job, type Submitted, waitForJob } from '../src/cli/wait.ts'
import { loadConfig } from '../src/config.ts'
import { dollars } from '../src/dollars.ts'
import { credit } from '../src/ledger/ledger.ts'
import { decodeEveryFrame } from '../src/media/frames.ts'
import { drawCat } from './cat.ts'
import { seedJobs } from './seeds.ts'

const email = 'demo@example.com'
const timeLimitSeconds = 300

interface Rendered {
  model: string
  jobId: string
  costMicroCents: number
  seconds: number
  file: string
}

const isJson = process.argv.includes('--json')
if (process.argv.includes('--help')) {
  console.log(
    'npm run demo [-- --json]\n\nRuns the two published requests end to end in the sandbox and shows cost and files.',
  )
} else {
  await main().catch((error) => {
    console.error(`demo: ${error instanceof Error ? error.message : error}`)
    process.exitCode = 1
  })
}

async function main(): Promise<void> {
  const { dataDir } = loadConfig(process.env)
  const server = await startServer()
  try {
    console.log(`filmgate is running on ${server.url}, its data lies in ${near(dataDir)}`)
    const api = createApi(server.url, await makeTestKey())
    const imageUrl = await upload(api, {
      filename: 'cat.jpg',
      contentType: 'image/jpeg',
      bytes: new Blob([new Uint8Array(drawCat())]),
    })
    console.log('Uploaded a picture of a cat in a room, and submitting the two published requests:')
    const progress = createProgress(process.stdout)
    const jobs = await Promise.all(
      seedJobs.map(({ model, input }) => {
        const own = 'image_url' in input ? { ...input, image_url: imageUrl } : input
        return run(api, { model, input: own }, progress)
      }),
    ).finally(() => progress.done())
    const rendered: Rendered[] = []
    for (const job of jobs) rendered.push(await fetchFile(job, join(dataDir, 'demo')))
    printTable(rendered)
    if (isJson) console.log(JSON.stringify({ jobs: rendered }))
  } finally {
    await server.stop()
  }
}

/** The server as users start it, on a free port; its log stays silent unless something is wrong. */
async function startServer(): Promise<{ url: string; stop(): Promise<void> }> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, '../src/main.ts'), 'serve', '--port', '0'],
    {
      env: { ...process.env, FILMGATE_LOG_LEVEL: process.env.FILMGATE_LOG_LEVEL ?? 'error' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  process.once('SIGINT', () => child.kill('SIGTERM'))
  const exited = once(child, 'exit')
  for await (const line of createInterface(child.stdout)) {
    const url = /^filmgate ready on (http:\S+)$/.exec(line)?.[1]
    if (url === undefined) continue
    return {
      url,
      async stop() {
        child.kill('SIGTERM')
        await exited
      },
    }
  }
  process.exit(1)
}

/** A test key of the demo's user, who is made at the first run and always has test money. */
async function makeTestKey(): Promise<string> {
  return withDatabase(async ({ pool }) => {
    const user =
      (await findUser(pool, email)) ??
      (await createUser(pool, { email, name: 'Demo', concurrencyLimit: 10 }))!
    if (user.testBalanceMicroCents < 5_000_000) {
      await credit(pool, { userId: user.userId, mode: 'test' }, 10_000_000n, 'demo')
    }
    return (await createKey(pool, { userId: user.userId, mode: 'test', name: 'demo' })).key
  })
}

type Ended = { model: string; submitted: Submitted; job: Job; seconds: number }

async function run(
  api: Api,
  body: { model: string; input: object },
  progress: ReturnType<typeof createProgress>,
): Promise<Ended> {
  const start = performance.now()
  const submitted = await api.call<Submitted>('POST', '/v1/jobs/submit', { body })
  const signal = AbortSignal.timeout(timeLimitSeconds * 1000)
  const job = await waitForJob(api, submitted, {
    show: (own) => progress.show({ label: body.model, ...own }),
    signal,
  }).catch((error) => {
    throw signal.aborted ? new Error(`${submitted.jobId} did not end in ${timeLimitSeconds} s`) : error
  })
  return { model: body.model, submitted, job, seconds: Math.round((performance.now() - start) / 10) / 100 }
}

/** Downloads a job's file as a customer would, and decodes all of it. */
async function fetchFile({ model, submitted, job, seconds }: Ended, folder: string): Promise<Rendered> {
  const { jobId, costMicroCents } = submitted
  const url = job.outputs?.[0]?.url
  if (job.status !== 'completed' || url === undefined) {
    throw new Error(`${jobId} ended ${job.status}: ${job.error?.code} ${job.error?.message}`)
  }
  await mkdir(folder, { recursive: true })
  const file = join(folder, `${model.split('/').join('-')}.mp4`)
  await download(url, file)
  const decoded = await decodeEveryFrame(file)
  if (!decoded.ok || decoded.videoFrames === 0) throw new Error(`${file} does not decode`)
  return { model, jobId, costMicroCents, seconds, file }
}

function printTable(rendered: Rendered[]): void {
  const rows = rendered.map((job) => [
    job.model,
    job.costMicroCents.toLocaleString('en-US'),
    dollars(job.costMicroCents),
    `${job.seconds.toFixed(1)} s`,
    near(job.file),
  ])
  console.log(`\n${table([['model', 'micro-cents', 'cost', 'time', 'file'], ...rows]).join('\n')}`)
}

/** The path as seen from here, where that is shorter. */
function near(path: string): string {
  const seen = relative(process.cwd(), path)
  return seen.startsWith('..') ? path : seen
}
