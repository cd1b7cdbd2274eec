import { withServer } from './server.ts'
import { measure, printTable, type Run } from './table.ts'

const seconds = 4
const model = 'kling-plus/kling-o3-standard/text-to-video'

/** What rendering costs the requests beside it: get and submit of one client, first at rest, then while films are made. */
export async function benchBesideRendering(): Promise<void> {
  await withServer('all', async ({ url, customers }) => {
    const headers = { authorization: `Bearer ${customers[0]!.key}`, 'content-type': 'application/json' }
    const submit = async (prompt: string, duration: string): Promise<string> => {
      const body = JSON.stringify({ model, input: { prompt, duration } })
      const answer = await fetch(`${url}/v1/jobs/submit`, { method: 'POST', headers, body })
      if (!answer.ok) throw new Error(`a submit answered ${answer.status}`)
      return ((await answer.json()) as { jobId: string }).jobId
    }
    // these stay pending: it is the request that is measured
    const waiting = 'a lake [sandbox:pending 3600]'
    const jobId = await submit(waiting, '3')
    const get = async () => {
      await (await fetch(`${url}/v1/jobs/${jobId}`, { headers })).arrayBuffer()
    }
    const round = async () => ({
      get: await measure(1, seconds, get),
      submit: await measure(1, seconds, () => submit(waiting, '3')),
    })
    await measure(1, 1, get)
    const rest = await round()
    for (let film = 0; film < 6; film++) await submit('A neon-lit Tokyo street at night', '15')
    const busy = await round()
    console.log('\nOne client at rest and beside rendering')
    const row = (name: string, at: Run, beside: Run) => [
      name,
      at.p50,
      at.p99,
      beside.p50,
      beside.p99,
      beside.p50 / at.p50,
    ]
    printTable(
      ['request', 'rest p50 ms', 'p99 ms', 'rendering p50 ms', 'p99 ms', 'ratio of p50'],
      [row('get', rest.get, busy.get), row('submit', rest.submit, busy.submit)],
    )
  })
}

if (import.meta.main) await benchBesideRendering()
