import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Operation } from '../docs/operation.ts'
import type { Found, Site } from '../docs/site.ts'
import type { DocumentedModel } from '../docs/subject.ts'
import { listPricing } from '../policy/list-price.ts'
import type { Policy } from '../policy/policy.ts'
import { currentVersion, statusOf } from '../policy/versions.ts'
import { visibleModels } from '../policy/visibility.ts'
import { varyBy } from './header.ts'
import { type AnyRoute, commonErrors, keyErrors } from './route.ts'
import type { Services } from './services.ts'

const pagePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
// Scalar sets styles in elements and reads its answers as blobs; it still reaches no other host.
const referencePolicy =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

/**
 * The documentation: made when first asked for, kept in memory, made anew when the operator changes what is public.
 */
export function serveDocs(app: FastifyInstance, services: Services, routes: AnyRoute[]): void {
  const openSite = createSiteSource(services, routes)
  for (const url of ['/docs', '/docs/*', '/openapi.json', '/robots.txt']) app.get(url, handler)
  app.get('/', async (_request, reply) => reply.redirect('/docs'))

  async function handler(request: FastifyRequest, reply: FastifyReply) {
    const path = request.url.split('?')[0]!
    // one slash at a time, as a pattern for many takes quadratic time; and never to a host that a request line names
    if (path.startsWith('/') && path.endsWith('/')) return reply.redirect(path.slice(0, -1), 301)
    const { site, made } = await openSite()
    const found = site.find(path, request.query as Record<string, unknown>)
    const { key } = found
    const body = (key === undefined ? undefined : made.get(key)) ?? encode(await found.make(), found.type)
    if (key !== undefined) made.set(key, body)
    return send(request, reply, found, body)
  }
}

interface OpenSite {
  site: Site
  /** What was rendered, by the key of its address; as many as there are pages. */
  made: Map<string, Encoded>
}

function createSiteSource(services: Services, routes: AnyRoute[]): () => Promise<OpenSite> {
  let open: { policy: Policy; site: Promise<OpenSite> } | undefined
  return async () => {
    const policy = await services.policies.recent()
    if (open?.policy === policy) return open.site
    const site = build(services, routes, policy)
    open = { policy, site }
    // what failed may work the next time
    site.catch(() => {
      if (open?.site === site) open = undefined
    })
    return site
  }
}

// The renderer and its libraries are loaded here, so that a server whose docs nobody reads does not pay for them.
async function build(services: Services, routes: AnyRoute[], policy: Policy): Promise<OpenSite> {
  const [{ createSite }, { serverOperations }] = await Promise.all([
    import('../docs/site.ts'),
    import('../docs/server-operations.ts'),
  ])
  const site = createSite({
    ...services.catalogue,
    models: documentedModels(services, policy),
    operations: [...routes.map(toOperation), ...serverOperations],
    origin: services.origin(),
  })
  return { site, made: new Map() }
}

function toOperation(route: AnyRoute): Operation {
  const { scope, errors, body, method } = route
  const ofKind = [
    ...commonErrors,
    ...(scope === undefined ? [] : keyErrors),
    ...(method === 'GET' ? [] : (['UNSUPPORTED_MEDIA_TYPE'] as const)),
  ]
  return {
    ...route,
    errors: [...errors, ...ofKind, ...(body === undefined ? [] : (['PAYLOAD_TOO_LARGE'] as const))],
  }
}

/** Only what anybody may see and use. */
function documentedModels({ catalogue }: Services, policy: Policy): DocumentedModel[] {
  return visibleModels(catalogue, policy, undefined).flatMap((model) => {
    const versions = model.versions.map((version) => ({
      ...version,
      status: statusOf(policy, model, version),
      pricing: listPricing(policy, model, version),
    }))
    const current = versions.find(({ version }) => version === currentVersion(policy, model)?.version)
    return current === undefined ? [] : [{ ...model, versions, current }]
  })
}

interface Encoded {
  plain: Buffer
  gzip: Buffer | undefined
  etag: string
}

function encode(content: string | Buffer, type: string): Encoded {
  const plain = Buffer.from(content)
  // fonts are compressed already
  const gzip = type.startsWith('font/') ? undefined : gzipSync(plain)
  // weak: the same for both encodings
  return { plain, gzip, etag: `W/"${createHash('sha256').update(plain).digest('base64url').slice(0, 22)}"` }
}

function send(request: FastifyRequest, reply: FastifyReply, found: Found, body: Encoded): FastifyReply {
  const { status, type, isImmutable = false, isReference = false } = found
  const age = isImmutable ? 'public, max-age=31536000, immutable' : 'public, max-age=60'
  varyBy(reply, 'accept-encoding')
  reply
    .status(status)
    .header('content-type', type)
    .header('cache-control', found.key === undefined || status === 404 ? 'no-store' : age)
    .header('etag', body.etag)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'strict-origin-when-cross-origin')
    .header('content-security-policy', isReference ? referencePolicy : pagePolicy)
  if (status === 200 && request.headers['if-none-match']?.includes(body.etag)) return reply.status(304).send()
  const takesGzip = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(request.headers['accept-encoding'] ?? '')
  if (takesGzip && body.gzip !== undefined) return reply.header('content-encoding', 'gzip').send(body.gzip)
  return reply.send(body.plain)
}
