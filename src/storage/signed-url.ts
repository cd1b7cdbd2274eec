import { createHmac, timingSafeEqual } from 'node:crypto'

interface Signed {
  /** As it stands in the URL, percent-encoded. */
  path: string
  method?: string
  secret: string
}

/** A URL that carries its own permission: for one method, one path, until one moment. */
export function signUrl(options: Signed & { origin: string; expiresAt: Date }): string {
  const expires = String(Math.floor(options.expiresAt.getTime() / 1000))
  const url = new URL(options.path, options.origin)
  const signature = signatureOf({ ...options, path: url.pathname }, expires)
  url.search = new URLSearchParams({ expires, signature }).toString()
  return url.href
}

/**
 * Judges the query of a request for a signed URL. Forged is told apart from expired so that the holder of an old
 * link learns what to do; the signature is judged first, so that nobody else learns anything.
 */
export function verifySignedUrl(
  options: Signed & { query: { expires?: unknown; signature?: unknown }; now: Date },
): 'valid' | 'expired' | 'forged' {
  const { expires, signature } = options.query
  if (typeof expires !== 'string' || typeof signature !== 'string') return 'forged'
  const wanted = Buffer.from(signatureOf(options, expires))
  const given = Buffer.from(signature)
  if (wanted.length !== given.length || !timingSafeEqual(wanted, given)) return 'forged'
  return Number(expires) * 1000 > options.now.getTime() ? 'valid' : 'expired'
}

/** HEAD asks for less than GET does, so a link for one serves both. */
function signatureOf({ method = 'GET', path, secret }: Signed, expires: string): string {
  const verb = method.toUpperCase() === 'HEAD' ? 'GET' : method.toUpperCase()
  return createHmac('sha256', secret).update(`${verb}\n${path}\n${expires}`).digest('base64url')
}
