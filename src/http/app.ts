import { once } from 'node:events'
import type { Socket } from 'node:net'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import { isRequestId, newId } from '../ids.ts'
import type { JsonSchema } from '../json-schema.ts'
import { adminGetUserRoute } from './admin-get-user.ts'
import { adminListOverridesRoute } from './admin-list-overrides.ts'
import { adminRemoveOverrideRoute } from './admin-remove-override.ts'
import { adminSetOverrideRoute } from './admin-set-override.ts'
import { type BodyTimes, usualTimes, watchBodies } from './bodies.ts'
import { takeJson } from './body.ts'
import { acceptCallbacks } from './callbacks.ts'
import { cancelJobRoute } from './cancel-job.ts'
import { catalogModelRoute } from './catalog/get-model.ts'
import { catalogProviderRoute } from './catalog/get-provider.ts'
import { capabilityGroupsRoute } from './catalog/list-capability-groups.ts'
import { catalogCategoriesRoute } from './catalog/list-categories.ts'
import { catalogModelsRoute } from './catalog/list-models.ts'
import { catalogProvidersRoute } from './catalog/list-providers.ts'
import { knowProxies } from './client-address.ts'
import { type ConnectionLimits, limitConnections } from './connections.ts'
import { allowOrigins } from './cors.ts'
import { createSessionRoute } from './create-session.ts'
import { deleteOutputsRoute } from './delete-outputs.ts'
import { serveDocs } from './docs.ts'
import { answerError } from './errors.ts'
import { estimateJobRoute } from './estimate-job.ts'
import { serveFiles } from './files.ts'
import { getJobRoute } from './get-job.ts'
import { getModelRoute } from './get-model.ts'
import { getUploadRoute } from './get-upload.ts'
import { serveHealth } from './health.ts'
import { jobEventsRoute } from './job-events.ts'
import { listJobsRoute } from './list-jobs.ts'
import { listModelsRoute } from './list-models.ts'
import { listProvidersRoute } from './list-providers.ts'
import { listWebhookDeliveriesRoute } from './list-webhook-deliveries.ts'
import { answerUnknown, rewriteUrl } from './methods.ts'
import { answerClientError, answerOddRequests } from './plain-answer.ts'
import { presignUploadRoute } from './presign-upload.ts'
import { providerModelsRoute } from './provider-models.ts'
import { acceptUploads, uploadBodyMs } from './put-upload.ts'
import { redeliverWebhookRoute } from './redeliver-webhook.ts'
import { bodyCheck, refuseRepeated, textCheck } from './request-check.ts'
import { createRequestLog } from './request-log.ts'
import { revokeSessionRoute } from './revoke-session.ts'
import { type AnyRoute, register } from './route.ts'
import { serveSamples } from './samples.ts'
import type { Services } from './services.ts'
import { submitJobRoute } from './submit-job.ts'
import { testWebhookRoute } from './test-webhook.ts'

/** Every operation under /v1. */
export const routes: AnyRoute[] = [
  submitJobRoute,
  estimateJobRoute,
  getJobRoute,
  jobEventsRoute,
  listJobsRoute,
  cancelJobRoute,
  deleteOutputsRoute,
  presignUploadRoute,
  getUploadRoute,
  listModelsRoute,
  getModelRoute,
  listProvidersRoute,
  providerModelsRoute,
  catalogModelsRoute,
  catalogModelRoute,
  catalogProvidersRoute,
  catalogProviderRoute,
  catalogCategoriesRoute,
  capabilityGroupsRoute,
  listWebhookDeliveriesRoute,
  redeliverWebhookRoute,
  testWebhookRoute,
  createSessionRoute,
  revokeSessionRoute,
  adminGetUserRoute,
  adminListOverridesRoute,
  adminSetOverrideRoute,
  adminRemoveOverrideRoute,
]

/** The HTTP server, not yet listening. */
export function createApp(
  services: Services,
  log: FastifyBaseLogger,
  connections: Pick<ConnectionLimits, 'most' | 'mostPerAddress' | 'knowsProxies'>,
  times: BodyTimes = usualTimes,
): FastifyInstance {
  const newRequestId = () => newId('req', services.clock.now())
  const app = Fastify({
    loggerInstance: log,
    // request-log.ts has its own
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    bodyLimit: 1_048_576,
    // the longest that any body may take; bodies.ts ends most of them much sooner
    requestTimeout: uploadBodyMs,
    http: {
      requireHostHeader: false,
      headersTimeout: times.headersMs,
      connectionsCheckingInterval: Math.min(2_000, times.headersMs / 4),
    },
    // an id of any length that a header can have is looked for, and not found
    routerOptions: { maxParamLength: 100_000, ignoreTrailingSlash: true },
    rewriteUrl,
    clientErrorHandler(error, socket) {
      const requestId = newRequestId()
      const answer = answerClientError(error, socket as Socket, { requestId, partingMs: times.partingMs })
      if (answer !== undefined) requestLog.tellPlain(answer, requestId, socket as Socket)
    },
    forceCloseConnections: 'idle',
    // what came before the door was shut is served as ever, not refused in a form of Fastify's own
    return503OnClosing: false,
    // of a URL that no route can be looked up for
    frameworkErrors(error, request, reply) {
      requestLog.begin(request, reply)
      reply.header('x-request-id', request.id)
      answerError(error, request, reply)
    },
    genReqId: (request) => saneRequestId(request.headers['x-request-id']) ?? newRequestId(),
  })
  // who has said all and now only listens is answered; node would end the connection
  Object.assign(app.server, { httpAllowHalfOpen: true })
  const isTrustedProxy = services.proxies.isTrusted
  const requestLog = createRequestLog(app, log, services.noteRefused)
  const tell = requestLog.tellPlain
  limitConnections(app.server, { ...connections, isTrustedProxy }, log, { newRequestId, tell })
  answerOddRequests(app.server, { newRequestId, partingMs: times.partingMs, tell })
  watchBodies(app, times)
  app.setValidatorCompiler(({ schema, httpPart }) => {
    return httpPart === 'body' ? bodyCheck(schema as JsonSchema) : textCheck(schema as JsonSchema)
  })
  app.setErrorHandler(answerError)
  app.decorateRequest('caller')
  knowProxies(app, services.proxies)
  app.addHook('onRequest', async (request, reply) => {
    requestLog.begin(request, reply)
    reply.header('x-request-id', request.id)
  })
  allowOrigins(app, services)
  answerUnknown(app)
  takeJson(app)
  refuseRepeated(app)
  letGoAtClosing(app, services)
  for (const declared of routes) register(app, services, declared)
  serveHealth(app, services)
  acceptUploads(app, services)
  acceptCallbacks(app, services)
  serveFiles(app, services)
  serveSamples(app)
  serveDocs(app, services, routes)
  return app
}

/** A connection on which no answer is due is let go within this. */
const silenceLimitMs = 1_000

/** What is not taken or sent to its end by then is cut off, while there is time left for the worker to be drained. */
const closingLimitMs = 20_000

// Whoever has connected is answered. Streams, and submits that wait for their job, would hold the closing up; so would a
// connection on which no answer is due, with half a request or none, which Node leaves alone once it is closing. Browsers
// and fetch open such connections.
function letGoAtClosing(app: FastifyInstance, { watch }: Services): void {
  const due = new Map<Socket, number>()
  const change = (socket: Socket, answers: number) => {
    const before = due.get(socket)
    if (before !== undefined) due.set(socket, before + answers)
  }
  app.server.on('connection', (socket) => {
    due.set(socket, 0)
    socket.once('close', () => due.delete(socket))
  })
  app.server.on('request', ({ socket }, response) => {
    change(socket, 1)
    response.once('close', () => change(socket, -1))
  })
  app.addHook('preClose', async () => {
    watch.stop()
    if (!app.server.listening) return
    await takeThoseInLine(app)
    const closed = once(app.server, 'close')
    app.server.close()
    const endsAt = performance.now() + closingLimitMs
    const letGo = setInterval(() => {
      const isOver = performance.now() > endsAt
      for (const [socket, answers] of due) if (answers === 0 || isOver) socket.destroy()
    }, silenceLimitMs)
    await closed
    clearInterval(letGo)
  })
}

/** The longest that a stop waits for connections that stand in line to be accepted. */
const acceptLimitMs = 1_000

// The kernel resets what stands in line when the door is shut: on a busy server that is many. A whole turn of the loop in
// which none was accepted means that the line is empty.
async function takeThoseInLine(app: FastifyInstance): Promise<void> {
  let accepted = 0
  const count = () => {
    accepted++
  }
  app.server.on('connection', count)
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  for (const endsAt = performance.now() + acceptLimitMs; performance.now() < endsAt; ) {
    const before = accepted
    // the first may come in the turn that is under way, behind the accepting of it
    await turn()
    await turn()
    if (accepted === before) break
  }
  app.server.off('connection', count)
}

function saneRequestId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && isRequestId(header) ? header : undefined
}
