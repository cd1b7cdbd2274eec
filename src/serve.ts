import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { createAuthenticate } from './accounts/authenticate.ts'
import { loadCatalogue, type Model, type ModelRoute, type ModelVersion } from './catalogue/load.ts'
import { type Clock, createDatabaseClock } from './clock.ts'
import { type Config, ConfigError, originOf } from './config.ts'
import { openDatabase } from './database.ts'
import { watchDisk } from './disk.ts'
import { createHealth } from './health.ts'
import { createApp } from './http/app.ts'
import type { BodyTimes } from './http/bodies.ts'
import { createProxies } from './http/client-address.ts'
import { serveHealth } from './http/health.ts'
import { readyChecks } from './http/ready-checks.ts'
import { startChecks } from './jobs/check-upstreams.ts'
import { createExpectations } from './jobs/expectations.ts'
import { createIdempotency } from './jobs/idempotency.ts'
import { listMargins, warnOfLosses } from './jobs/margins.ts'
import { createGetJob } from './jobs/read.ts'
import { createCandidates, createRouteRecords } from './jobs/routes.ts'
import { announceServer, describeUpstreams, forgetServers } from './jobs/servers.ts'
import { createSubmit } from './jobs/submit.ts'
import { probeSuspended, releaseProbe } from './jobs/suspensions.ts'
import { createReadEvents } from './jobs/timeline.ts'
import { createJobWatch } from './jobs/watch.ts'
import { startWorker } from './jobs/worker.ts'
import type { Mode } from './ledger/ledger.ts'
import { createLinks } from './links.ts'
import { makeFolder } from './make-folder.ts'
import { createMedia } from './media/media.ts'
import { migrate } from './migrate.ts'
import { assertPublicUrl, createOutbound } from './outbound.ts'
import { createPolicySource, loadPolicy } from './policy/policy.ts'
import { createRequestLimit } from './policy/request-limit.ts'
import { sayConnections } from './postgres/connections.ts'
import { percent } from './pricing/margin.ts'
import type { Provider } from './providers/provider.ts'
import { createSandbox } from './providers/sandbox/sandbox.ts'
import { openUpstreams } from './providers/upstreams.ts'
import { freeTasksOfDead } from './queue/heartbeat.ts'
import { keepRefused } from './requests/refused.ts'
import { loadSigningSecret } from './signing-secret.ts'
import { createStep } from './start-step.ts'
import { openStorage } from './storage/open.ts'
import type { Storage } from './storage/storage.ts'
import { tryPort } from './try-port.ts'

export interface Server {
  /** Where it listens; undefined for a mere worker. */
  url: string | undefined
  /** Where a worker answers for its health, if it does. */
  healthUrl: string | undefined
  /** Finishes what is under way and lets everything go. */
  stop(): Promise<void>
}

/** What a stop has to end or let go, by the name that the log gives it. */
type Undo = [name: string, end: () => unknown]

const saidAfterMs = 10_000

/** How long HTTP is still served while the worker ends what it is doing. */
const handOverMs = 5_000

/** What a test gives in place of what the settings name. */
export interface ServeOptions {
  /** In place of the real ones. */
  upstreams?: Provider[]
  /** Which ways a model's live jobs can go: to any of `upstreams` if they are given and this is not. */
  routesOf?: (model: Model) => ModelRoute[]
  clock?: Clock
  wrapStorage?: (storage: Storage) => Storage
  /** How long requests may take to arrive. */
  times?: BodyTimes
}

/**
 * The wiring of one process: database, storage, providers, then HTTP and worker as the role says. `onLost`
 * hears when the embedded database is gone for good: the process should end.
 */
export async function serve(
  config: Config,
  log: Logger,
  onLost: (error: Error) => void,
  options: ServeOptions = {},
): Promise<Server> {
  const undo: Undo[] = []
  const stop = async () => {
    for (const [name, end] of undo.splice(0).reverse()) {
      // it may take its time: what is under way is finished
      const said = setTimeout(() => log.warn({ step: name }, 'a step of the stop takes long'), saidAfterMs)
      try {
        await end()
      } catch (error) {
        log.error({ err: error, step: name }, 'a step of the stop failed')
      }
      clearTimeout(said)
    }
  }
  try {
    return { ...(await start(config, log, onLost, options, undo)), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

async function start(
  config: Config,
  log: Logger,
  onLost: (error: Error) => void,
  options: ServeOptions,
  undo: Undo[],
): Promise<Pick<Server, 'url' | 'healthUrl'>> {
  if (config.allowPrivateNetwork) {
    log.warn(
      'FILMGATE_ALLOW_PRIVATE_NETWORK=1: webhooks and input media may reach private addresses; never in production',
    )
  }
  if (config.role === 'worker' && config.publicUrl === undefined) {
    throw new ConfigError('PUBLIC_URL is unset: a worker on port 0 needs it for the links that it gives out')
  }
  const { wrapStorage = (storage) => storage } = options
  const databaseClock = createDatabaseClock(log)
  const clock = options.clock ?? databaseClock
  const upstreams = options.upstreams ?? openUpstreams(config.upstreams, clock)
  const isReachable = isReachableAt(config)
  if (upstreams.length > 0 && !isReachable) {
    log.warn(
      'PUBLIC_URL is no address that upstreams can reach: they are given pictures within the request, films by the address that the customer gave, and no address to call back',
    )
  }
  const catalogue = loadCatalogue()
  const step = createStep(log)
  const temporaryDirectory = join(config.dataDir, 'tmp')
  // before PostgreSQL is started, and a folder is made, for nothing
  await step(
    'try the port',
    { seconds: 15, remedy: 'see whether HOST is an address of this machine' },
    async () => {
      const { role, host, port, healthPort } = config
      if (role !== 'worker') await tryPort('PORT', { host, port })
      else if (healthPort !== undefined) await tryPort('FILMGATE_HEALTH_PORT', { host, port: healthPort })
    },
  )
  await step(
    'make the data folder',
    { seconds: 15, remedy: 'see whether the disk of FILMGATE_DATA_DIR answers' },
    () => makeDataFolder(temporaryDirectory),
  )
  const disk = await step(
    'look at the disk',
    { seconds: 15, remedy: 'see whether the disk of FILMGATE_DATA_DIR answers' },
    () => watchDisk(config.dataDir, config.minFreeDiskBytes, log),
  )
  undo.push(['watching the disk', disk.stop])
  // with files and database elsewhere, only renders need this disk
  const isElsewhere = config.s3 !== undefined && config.databaseUrl !== undefined
  const hasRoom = (mode: Mode) => disk.room() !== 'none' || (isElsewhere && mode === 'live')

  const database = await step(
    'open the database',
    { seconds: 240, remedy: 'see whether DATABASE_URL, or the disk of FILMGATE_DATA_DIR, answers' },
    () => openDatabase(config, 'server', log, onLost),
  )
  undo.push(['the database', database.close])
  const { pool } = database
  const endWatch = database.sayLockWaits((line) => log.warn(line))
  await step(
    'bring the database up to date',
    { seconds: 3_600, remedy: 'see who holds the locks that the log names' },
    () => migrate(pool, log),
  ).finally(endWatch)
  if (options.clock === undefined) {
    await databaseClock.follow(pool)
    undo.push(['the clock', databaseClock.stop])
  }
  // no other server can be on the embedded database: what is locked was locked by one that died
  if (database.isEmbedded) {
    await freeTasksOfDead(pool, 0)
    await forgetServers(pool)
  }

  const signingSecret = await step(
    'read the signing secret',
    { seconds: 30, remedy: 'see whether the database answers' },
    () => loadSigningSecret(pool, config.dataDir),
  )
  const policies = createPolicySource(pool, clock)
  const expectations = createExpectations({ pool, clock, catalogue, log })
  const opened = await step(
    'open the storage',
    { seconds: 60, remedy: 'see whether the S3 store, or the disk of FILMGATE_DATA_DIR, answers' },
    () => openStorage(config, temporaryDirectory, clock),
  )
  undo.push(['the storage', opened.close])
  const storage = wrapStorage(opened.storage)
  const outbound = createOutbound({ allowPrivate: config.allowPrivateNetwork })
  undo.push(['connections to others', outbound.close])
  const media = createMedia()
  undo.push(['the media thread', media.close])
  const sandbox = createSandbox({ storage, temporaryDirectory, clock, hasRoom: () => disk.room() !== 'none' })
  undo.push(['the sandbox', sandbox.close])
  const providers: Provider[] = [sandbox, ...upstreams]
  const provider = (name: string) => providers.find((candidate) => candidate.name === name)
  const minMargin = config.minMargin === undefined ? undefined : percent(config.minMargin)
  const candidates = createCandidates(sandbox, upstreams, routesOf(options))
  if (upstreams.length > 0 && config.role !== 'worker') {
    const margins = listMargins(catalogue, await loadPolicy(pool), { minMargin, routesOf: routesOf(options) })
    warnOfLosses(
      log,
      margins,
      upstreams.map(({ name }) => name),
    )
  }
  const links = createLinks({ publicUrl: config.publicUrl, secret: signingSecret, clock })

  // stopped last to first: no more requests, then no more tasks
  const queuePool = database.openQueuePool()
  undo.push(['the connections of the queue', () => queuePool.end()])
  const submitPool = database.openPipelinedPool()
  undo.push(['the connections of submits', () => submitPool.end()])
  const lookupPool = database.openLookupPool()
  undo.push(['the connections of look-ups', () => lookupPool.end()])
  const processId = randomUUID()
  const server = {
    id: processId,
    role: config.role,
    upstreams: describeUpstreams(upstreams, config.upstreams),
    minMargin: config.minMargin,
  }
  const announced = await announceServer({ pool, log }, server)
  undo.push(['telling that this server runs', announced.stop])
  const checks = startChecks({ pool, log }, processId, upstreams)
  undo.push(['the checks of upstreams', checks.stop])
  const isApi = config.role !== 'worker'
  const isWorker = config.role !== 'api'
  const used = [pool, lookupPool, ...(isApi ? [submitPool] : []), ...(isWorker ? [queuePool] : [])]
  await sayConnections(
    pool,
    used.reduce((sum, { options }) => sum + (options.max ?? 0), 0),
    log,
  )
  const health = createHealth(
    readyChecks({
      pool,
      lookupPool,
      submitPool: isApi ? submitPool : undefined,
      queuePool: isWorker ? queuePool : undefined,
      storage,
      disk,
      clock,
    }),
    // disk and clock have a watch and words of their own
    ['workers'],
    log,
  )
  undo.push(['the health checks', health.stop])
  let worker: { stop(): Promise<void> } | undefined
  let stopping: Promise<void> | undefined
  const stopWorker = () => {
    stopping ??= worker?.stop()
    return stopping
  }
  undo.push(['the worker', stopWorker])
  let url: string | undefined
  let healthUrl: string | undefined
  if (config.role !== 'worker') {
    const refused = keepRefused({ pool, clock, log })
    undo.push(['keeping refused requests', refused.stop])
    const app = createApp(
      {
        pool,
        health,
        hasRoom,
        clock,
        catalogue,
        outbound,
        storage,
        policies,
        getJob: createGetJob(lookupPool),
        readEvents: createReadEvents(lookupPool),
        watch: createJobWatch(lookupPool, log),
        expectations,
        authenticate: createAuthenticate(lookupPool, policies, clock),
        submit: createSubmit(submitPool, log),
        idempotency: createIdempotency(lookupPool),
        quoteSecret: signingSecret,
        corsOrigins: config.corsOrigins,
        requestLimit: createRequestLimit(config.requestsPerMinute),
        noteRefused: refused.note,
        proxies: createProxies(config),
        provider,
        candidates,
        whenSuspended: config.whenSuspended,
        probes: {
          take: ({ provider, route }, jobId) =>
            probeSuspended(
              pool,
              { upstream: provider.name, model: route.model },
              { jobId, hasCheck: provider.check !== undefined },
            ),
          release: (jobId) => releaseProbe(pool, jobId),
        },
        minMargin,
        ...links,
      },
      log,
      {
        most: config.maxConnections,
        mostPerAddress: config.maxConnectionsPerAddress,
        knowsProxies: config.trustedProxies.length > 0,
      },
      options.times,
    )
    undo.push(['the HTTP server', () => close(app)])
    // upstreams fetch the files of the jobs that they are being given here: not for long, as others wait for the stop
    undo.push([
      'the tasks under way',
      () => Promise.race([stopWorker(), sleep(handOverMs, undefined, { ref: false })]),
    ])
    url = await listen(app, config)
    links.setOrigin(url)
  }
  if (config.role !== 'api') {
    const context = {
      pool,
      clock,
      log,
      catalogue,
      provider,
      providers,
      candidates,
      routeRecords: createRouteRecords({ pool, clock, log }),
      medianMs: expectations.medianMs,
      isReachable,
      processId,
      nextPollMs: expectations.nextPollMs,
      storage,
      media,
      outbound,
      temporaryDirectory,
      ...links,
    }
    worker = await step('start the worker', { seconds: 60, remedy: 'see whether the database answers' }, () =>
      startWorker(context, { queuePool, lookupPool }),
    )
  }
  if (config.role === 'worker' && config.healthPort !== undefined) {
    const app = Fastify({ forceCloseConnections: true })
    serveHealth(app, { health })
    undo.push(['the HTTP server of the health checks', () => app.close()])
    healthUrl = await listen(app, { host: config.host, port: config.healthPort })
  }
  return { url, healthUrl }
}

/** Whatever stands in its place or way: the setting is named. */
async function makeDataFolder(path: string): Promise<void> {
  await makeFolder(path).catch((error: Error) => {
    throw new ConfigError(`FILMGATE_DATA_DIR: ${error.message}: give a folder that can be written`)
  })
}

function routesOf({ upstreams, routesOf }: ServeOptions) {
  if (routesOf !== undefined) return routesOf
  if (upstreams === undefined) return (_model: Model, version: ModelVersion) => version.routes
  return ({ slug }: Model) => upstreams.map(({ name }) => ({ upstream: name, model: slug }))
}

/** Whether upstreams can be expected to reach this server; that they do only they could tell. */
function isReachableAt({ publicUrl, allowPrivateNetwork: allowPrivate }: Config): boolean {
  if (publicUrl === undefined) return allowPrivate
  return assertPublicUrl(publicUrl, { allowPrivate, protocols: ['https:', 'http:'] }).ok
}

async function listen(app: FastifyInstance, { host, port }: Pick<Config, 'host' | 'port'>): Promise<string> {
  await app.listen({ host, port })
  const address = app.server.address() as AddressInfo
  return originOf(host, address.port)
}

// Connections that become idle after closing began would hold it up until their keep-alive is over.
async function close(app: FastifyInstance): Promise<void> {
  const closeIdle = setInterval(() => app.server.closeIdleConnections(), 200)
  await app.close().finally(() => clearInterval(closeIdle))
}
