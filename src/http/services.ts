import type pg from 'pg'
import type { Authenticate } from '../accounts/authenticate.ts'
import type { Health } from '../health.ts'
import type { AcceptContext } from '../jobs/accept.ts'
import type { GetJob } from '../jobs/read.ts'
import type { FileUrl } from '../jobs/settle.ts'
import type { ReadEvents } from '../jobs/timeline.ts'
import type { JobWatch } from '../jobs/watch.ts'
import type { PolicySource } from '../policy/policy.ts'
import type { RequestLimit } from '../policy/request-limit.ts'
import type { Provider } from '../providers/provider.ts'
import type { RefusedRequests } from '../requests/refused.ts'
import type { Storage } from '../storage/storage.ts'
import type { Proxies } from './client-address.ts'

/** What the operations work with; put together once in main.ts. */
export interface Services extends AcceptContext {
  pool: pg.Pool
  authenticate: Authenticate
  getJob: GetJob
  readEvents: ReadEvents
  watch: JobWatch
  policies: PolicySource
  storage: Storage
  health: Health
  fileUrl: FileUrl
  /** Where clients reach this server, as the docs print it. */
  origin(): string
  /** Signs a URL of this server's own for one method and path until a moment. */
  signUrl(path: string, expiresAt: Date, method?: string): string
  verifyUrl(path: string, query: unknown, method: string): 'valid' | 'expired' | 'forged'
  requestLimit: RequestLimit
  /** Keeps a request that was refused or failed, for its operator to look up. */
  noteRefused: RefusedRequests['note']
  /** Sites whose pages may read answers; undefined: the server's own. */
  corsOrigins: string[] | '*' | undefined
  /** Whose word about the address of a client is believed. */
  proxies: Proxies
  /** The provider of this name, if it is set up. */
  provider(name: string): Provider | undefined
  /** The job that a callback's token was made for; undefined if it was not made here for this upstream. */
  callbackJob(upstream: string, token: string): string | undefined
}
