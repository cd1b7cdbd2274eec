import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Logger, pino } from 'pino'
import { type Config, loadConfig } from '../src/config.ts'
import type { Provider } from '../src/providers/provider.ts'
import { type ServeOptions, serve } from '../src/serve.ts'
import { atEnd } from './at-end.ts'

export interface Answer {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
  body: any
}

export interface Gateway {
  url: string
  dataDir: string
  call(
    method: string,
    path: string,
    options?: { key?: string; body?: unknown; headers?: Record<string, string> },
  ): Promise<Answer>
  /** Asks for a job until it has ended. */
  ended(jobId: string, key: string): Promise<Answer['body']>
  stop(): Promise<void>
}

/** A real server in this process, on a database of the test's, stopped after the tests of the calling file. */
export async function startGateway(options: {
  databaseUrl: string
  role?: 'all' | 'api'
  allowPrivateNetwork?: boolean
  settings?: Partial<Config>
  upstreams?: Provider[]
  routesOf?: ServeOptions['routesOf']
  wrapStorage?: ServeOptions['wrapStorage']
  times?: ServeOptions['times']
  /** In place of one on stderr. */
  log?: Logger
}): Promise<Gateway> {
  const dataDir = await mkdtemp(join(tmpdir(), 'filmgate-gateway-'))
  const config = loadConfig({
    PORT: '0',
    DATABASE_URL: options.databaseUrl,
    FILMGATE_DATA_DIR: dataDir,
    FILMGATE_ALLOW_PRIVATE_NETWORK: options.allowPrivateNetwork ? '1' : '',
  })
  const usualLog = pino({ level: process.env.FILMGATE_TEST_LOG ?? 'silent' }, pino.destination(2))
  const { role = 'all', settings, upstreams, routesOf, wrapStorage, times, log = usualLog } = options
  const server = await serve({ ...config, ...settings, role }, log, () => {}, {
    ...(upstreams && { upstreams }),
    ...(routesOf && { routesOf }),
    ...(wrapStorage && { wrapStorage }),
    ...(times && { times }),
  })
  const url = server.url!
  let stopped: Promise<void> | undefined
  const stop = () => {
    stopped ??= server.stop().then(() => rm(dataDir, { recursive: true, force: true }))
    return stopped
  }
  atEnd(stop)

  const call: Gateway['call'] = async (method, path, { key, body, headers } = {}) => {
    const isRaw = typeof body === 'string' || body instanceof Uint8Array
    const answer = await fetch(path.startsWith('http') ? path : url + path, {
      method,
      headers: {
        ...(key !== undefined && { authorization: `Bearer ${key}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: isRaw ? (body as string) : JSON.stringify(body) }),
    })
    const text = await answer.text()
    const isJson = answer.headers.get('content-type')?.startsWith('application/json') ?? false
    return { status: answer.status, headers: answer.headers, body: isJson ? JSON.parse(text) : text }
  }
  const ended: Gateway['ended'] = async (jobId, key) => {
    const deadline = Date.now() + 90_000
    for (;;) {
      const { body } = await call('GET', `/v1/jobs/${jobId}`, { key })
      if (!['pending', 'processing'].includes(body.status)) return body
      if (Date.now() > deadline) throw new Error(`${jobId} is still ${body.status}`)
      await sleep(100)
    }
  }
  return { url, dataDir, call, ended, stop }
}
