import type { FastifyRequest } from 'fastify'
import { ApiError } from '../errors.ts'
import { sentOnce } from './header.ts'

/** The key, or session, of a request; throws INVALID_API_KEY where two differ, as neither of them is chosen. */
export function readKey(request: FastifyRequest): string | undefined {
  const bearer = readBearer(sentOnce(request, 'authorization'))
  const header = String(request.headers['x-api-key'] ?? '').trim()
  if (bearer !== undefined && header !== '' && bearer !== header) {
    const message = 'Authorization and x-api-key hold different keys: send one of them.'
    throw new ApiError('INVALID_API_KEY', message)
  }
  return bearer ?? (header === '' ? undefined : header)
}

// Another scheme is somebody else's: a proxy may ask for a password of its own.
function readBearer(authorization = ''): string | undefined {
  const credentials = /^Bearer(?:\s+(.*))?$/i.exec(authorization.trim())?.[1]
  if (credentials === undefined) return undefined
  if (!/\s/.test(credentials)) return credentials
  throw new ApiError(
    'INVALID_API_KEY',
    'Authorization is malformed: write it as "Authorization: Bearer <key>".',
  )
}
