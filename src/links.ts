import type { Clock } from './clock.ts'
import { signUrl, verifySignedUrl } from './storage/signed-url.ts'

/** A link to an output is good for a week; every get of its job makes a new one. */
const fileLinkLifeMs = 7 * 24 * 3_600_000

export interface Links {
  /** The origin of links where PUBLIC_URL does not set it: the address that the server got. */
  setOrigin(origin: string): void
  fileUrl(key: string): string
  signUrl(path: string, expiresAt: Date, method?: string): string
  verifyUrl(path: string, query: unknown, method: string): 'valid' | 'expired' | 'forged'
  /** The storage key of a file of our own that the URL permitted reading at `at`; undefined for foreign URLs. */
  ownFile(url: string, at: Date): { key: string } | 'refused' | undefined
}

/** Makes and checks the signed URLs of this server's own files. */
export function createLinks(options: { publicUrl: string | undefined; secret: string; clock: Clock }): Links {
  const { secret, clock } = options
  let origin = options.publicUrl
  const sign: Links['signUrl'] = (path, expiresAt, method = 'GET') => {
    if (origin === undefined) throw new Error('the public URL is not known yet')
    return signUrl({ origin, path, expiresAt, method, secret })
  }
  const verify = (path: string, query: unknown, method: string, now: Date) =>
    verifySignedUrl({ path, method, secret, now, query: query as Record<string, unknown> })
  return {
    setOrigin(listening) {
      origin ??= listening
    },
    fileUrl: (key) => sign(`/files/${key}`, new Date(clock.now().getTime() + fileLinkLifeMs)),
    signUrl: sign,
    verifyUrl: (path, query, method) => verify(path, query, method, clock.now()),
    ownFile(text, at) {
      const url = URL.parse(text)
      if (url === null || url.origin !== origin || !url.pathname.startsWith('/files/')) return undefined
      const verdict = verify(url.pathname, Object.fromEntries(url.searchParams), 'GET', at)
      return verdict === 'valid' ? { key: url.pathname.slice('/files/'.length) } : 'refused'
    },
  }
}
