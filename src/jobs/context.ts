import type pg from 'pg'
import type { Logger } from 'pino'
import type { Catalogue } from '../catalogue/load.ts'
import type { Clock } from '../clock.ts'
import type { Media } from '../media/media.ts'
import type { Outbound } from '../outbound.ts'
import type { Provider } from '../providers/provider.ts'
import type { Storage } from '../storage/storage.ts'
import type { CandidatesOf, RouteRecords } from './routes.ts'
import type { FileUrl } from './settle.ts'

/** What the job's verbs work with; put together once in main.ts. */
export interface JobContext {
  pool: pg.Pool
  clock: Clock
  log: Logger
  catalogue: Catalogue
  provider(name: string): Provider | undefined
  /** Those that are set up. */
  providers: Provider[]
  /** The ways that a model's jobs can go here. */
  candidates: CandidatesOf
  routeRecords: RouteRecords
  medianMs(provider: string, modelSlug: string): number
  /** By which the others tell whether this process is alive; see queue/heartbeat.ts. */
  processId: string
  /** When to ask an upstream next, in ms from now. `elapsedMs` counts from acceptance. */
  nextPollMs(provider: Provider, job: { modelSlug: string; elapsedMs: number; asked: number }): number
  /** Upstreams can reach this server: they may be given its links. */
  isReachable: boolean
  /** Where an upstream may say that a job has changed. */
  callbackUrl(upstream: string, jobId: string): string
  storage: Storage
  media: Media
  outbound: Outbound
  fileUrl: FileUrl
  /** The storage key of a file of our own that the URL permitted reading at `at`; undefined for foreign URLs. */
  ownFile(url: string, at: Date): { key: string } | 'refused' | undefined
  /** Where the sample file of this server's own URL lies; undefined for other URLs. */
  sampleFile(url: string): string | undefined
  /** Signs a URL of this server's own until a moment. */
  signUrl(path: string, expiresAt: Date): string
  /** For files that live as long as one task. */
  temporaryDirectory: string
}
