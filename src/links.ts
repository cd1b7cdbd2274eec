import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from './clock.ts'
import { sampleFileOf } from './samples/samples.ts'
import { deriveSecret } from './signing-secret.ts'
import { signUrl, verifySignedUrl } from './storage/signed-url.ts'

/** A link to an output is good for a week; every get of its job makes a new one. */
const fileLinkLifeMs = 7 * 24 * 3_600_000

export interface Links {
  /** The origin of links where PUBLIC_URL does not set it: the address that the server got. */
  setOrigin(origin: string): void
  /** Where clients reach this server. */
  origin(): string
  fileUrl(key: string): string
  signUrl(path: string, expiresAt: Date, method?: string): string
  verifyUrl(path: string, query: unknown, method: string): 'valid' | 'expired' | 'forged'
  /** The storage key of a file of our own that the URL permitted reading at `at`; undefined for foreign URLs. */
  ownFile(url: string, at: Date): { key: string } | 'refused' | undefined
  /** Where the sample file of this server's own URL lies; undefined for other URLs. */
  sampleFile(url: string): string | undefined
  /** Where an upstream may say that a job is done; the token in it is good for this upstream and job alone. */
  callbackUrl(upstream: string, jobId: string): string
  /** The job that a callback's token was made for; undefined if it was not made here for this upstream. */
  callbackJob(upstream: string, token: string): string | undefined
}

/** Makes and checks the signed URLs of this server: its own files, and where upstreams call back. */
export function createLinks(options: { publicUrl: string | undefined; secret: string; clock: Clock }): Links {
  const { secret, clock } = options
  const callbackSecret = deriveSecret(secret, 'callbacks')
  let origin = options.publicUrl
  const knownOrigin = () => {
    if (origin === undefined) throw new Error('the public URL is not known yet')
    return origin
  }
  const sign: Links['signUrl'] = (path, expiresAt, method = 'GET') =>
    signUrl({ origin: knownOrigin(), path, expiresAt, method, secret })
  const verify = (path: string, query: unknown, method: string, now: Date) =>
    verifySignedUrl({ path, method, secret, now, query: query as Record<string, unknown> })
  return {
    setOrigin(listening) {
      origin ??= listening
    },
    origin: knownOrigin,
    fileUrl: (key) => sign(`/files/${key}`, new Date(clock.now().getTime() + fileLinkLifeMs)),
    signUrl: sign,
    verifyUrl: (path, query, method) => verify(path, query, method, clock.now()),
    ownFile(text, at) {
      const url = URL.parse(text)
      if (url === null || url.origin !== origin || !url.pathname.startsWith('/files/')) return undefined
      const verdict = verify(url.pathname, Object.fromEntries(url.searchParams), 'GET', at)
      return verdict === 'valid' ? { key: url.pathname.slice('/files/'.length) } : 'refused'
    },
    sampleFile: (url) => sampleFileOf(url, origin),
    callbackUrl(upstream, jobId) {
      const token = `${jobId}.${signCallback(upstream, jobId, callbackSecret).toString('base64url')}`
      return `${knownOrigin()}/callbacks/${upstream}/${token}`
    },
    callbackJob(upstream, token) {
      const [, jobId = '', signature = ''] = /^(job_[0-9a-z]{1,60})\.([\w-]{43})$/.exec(token) ?? []
      const given = Buffer.from(signature, 'base64url')
      const wanted = signCallback(upstream, jobId, callbackSecret)
      return given.length === wanted.length && timingSafeEqual(given, wanted) ? jobId : undefined
    },
  }
}

function signCallback(upstream: string, jobId: string, secret: Buffer): Buffer {
  return createHmac('sha256', secret).update(`${upstream}\n${jobId}`).digest()
}
