import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import autocannon from 'autocannon'
import { loadCatalogue } from '../src/catalogue/load.ts'
import { withServer } from './server.ts'
import { printTable, type Run } from './table.ts'

const clients = 64
const seconds = 3
// One after the other, since the machine's own pace changes from minute to minute.
const rounds = 5

interface Ask {
  name: string
  path: string
  /** POST with this body, else GET. */
  body?: unknown
  needsKey: boolean
}

/**
 * Requests that write nothing, at 64 connections: a job with its database reads, the public list of all models, and
 * an estimate that the largest input schema takes and a submit that it refuses. Each against a bare Fastify route that answers the same bytes.
 */
export async function benchReads(): Promise<void> {
  await withServer('api', async ({ url, customers }) => {
    const headers = { authorization: `Bearer ${customers[0]!.key}`, 'content-type': 'application/json' }
    const model = 'kling-plus/kling-o3-standard/text-to-video'
    const submitted = await fetch(`${url}/v1/jobs/submit`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ model, input: { prompt: 'A lake' } }),
    })
    const { jobId } = (await submitted.json()) as { jobId: string }
    const largest = largestSchema()
    const asks: Ask[] = [
      { name: 'GET /v1/jobs/{id}', path: `/v1/jobs/${jobId}`, needsKey: true },
      { name: 'GET /v1/catalog/models', path: '/v1/catalog/models', needsKey: false },
      {
        name: `estimate, of ${largest.slug}`,
        path: '/v1/jobs/estimate',
        body: { model: largest.slug, input: largest.example },
        needsKey: true,
      },
      {
        name: `submit, refused by the schema of ${largest.slug}`,
        path: '/v1/jobs/submit',
        body: { model: largest.slug, input: { ...largest.example, unknown_field: true } },
        needsKey: true,
      },
    ]
    const bodies: Record<string, { status: number; text: string }> = {}
    for (const ask of asks) {
      const answer = await fetch(url + ask.path, requestOf(ask, headers))
      bodies[ask.path] = { status: answer.status, text: await answer.text() }
    }
    const floor = await startFloor(bodies)
    const rows: (string | number)[][] = []
    for (const ask of asks) {
      const [bare, own] = await compare(ask, headers, [floor.url, url])
      rows.push([
        ask.name,
        Math.round((bodies[ask.path]!.text.length / 1024) * 10) / 10,
        bare.perSecond,
        bare.p99,
        own.perSecond,
        own.p99,
        own.perSecond / bare.perSecond,
      ])
    }
    floor.child.kill('SIGTERM')
    console.log(
      `\nReads (${clients} connections, median of ${rounds} rounds of ${seconds} s, load generator on the same machine)`,
    )
    printTable(['request', 'KiB', 'bare req/s', 'p99 ms', 'filmgate req/s', 'p99 ms', 'of bare'], rows)
  })
}

/** The model whose input schema has the most text in it, with an example of its input. */
function largestSchema(): { slug: string; example: Record<string, unknown> } {
  const sized = [...loadCatalogue().models.values()].map(({ slug, versions }) => ({
    slug,
    example: versions[0]!.example,
    size: JSON.stringify(versions[0]!.inputSchema).length,
  }))
  return sized.reduce((largest, model) => (model.size > largest.size ? model : largest))
}

function requestOf({ body, needsKey }: Ask, headers: Record<string, string>) {
  return {
    ...(needsKey && { headers }),
    ...(body !== undefined && { method: 'POST' as const, body: JSON.stringify(body) }),
  }
}

async function startFloor(bodies: Record<string, unknown>) {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'floor.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.end(JSON.stringify(bodies))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const url = /http:\S+/.exec(line.toString())?.[0]
  if (url === undefined) throw new Error('the floor did not start')
  return { url, child }
}

/** The medians of both, measured in turns. */
async function compare(
  ask: Ask,
  headers: Record<string, string>,
  [bareUrl, ownUrl]: [string, string],
): Promise<[Run, Run]> {
  const bare: Run[] = []
  const own: Run[] = []
  for (let round = 0; round < rounds; round++) {
    bare.push(await load(bareUrl, ask, headers))
    own.push(await load(ownUrl, ask, headers))
  }
  return [median(bare), median(own)]
}

function median(runs: Run[]): Run {
  return runs.sort((a, b) => a.perSecond - b.perSecond)[Math.floor(runs.length / 2)]!
}

async function load(url: string, ask: Ask, headers: Record<string, string>): Promise<Run> {
  const options = { url: url + ask.path, connections: clients, ...requestOf(ask, headers) }
  await autocannon({ ...options, duration: 1 })
  const { errors, latency, requests, duration } = await autocannon({ ...options, duration: seconds })
  if (errors > 0) throw new Error(`${errors} requests failed`)
  return { perSecond: requests.total / duration, p50: latency.p50, p99: latency.p99 }
}

if (import.meta.main) await benchReads()
