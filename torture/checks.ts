import type { Loss } from './client.ts'
import { ends } from './client.ts'
import type { Evidence, JobEvidence } from './evidence.ts'
import type { Gateway } from './gateways.ts'
import { takesPictures } from './orders.ts'
import { type JobTruth, sendingFault } from './truth.ts'

export interface Violation {
  rule: string
  what: string
  jobId?: string
}

type Found = { what: string; jobId?: string }
type Rule = (evidence: Evidence) => Iterable<Found>

/** A rule about one job at a time: answers what is wrong with it. */
function ofEachJob(check: (job: JobEvidence, evidence: Evidence) => string | false | undefined): Rule {
  return function* (evidence) {
    for (const job of evidence.jobs) {
      const what = check(job, evidence)
      if (what) yield { what, jobId: job.id }
    }
  }
}

const rules: Record<string, Rule> = {
  'a job that was answered is there, once': function* ({ experiences, jobs }) {
    const byOrder = Map.groupBy(jobs, (job) => job.order)
    for (const { order, jobId } of experiences) {
      const made = byOrder.get(order.number) ?? []
      if (made.length > 1)
        yield { what: `order ${order.number} made ${made.length} jobs`, jobId: made[1]!.id }
      if (jobId !== undefined && !made.some((job) => job.id === jobId)) {
        yield { what: `order ${order.number} was told of ${jobId}, which is not there` }
      }
    }
  },
  'a submit that was answered with an error left nothing behind': function* ({ experiences, jobs }) {
    const byOrder = new Map(jobs.map((job) => [job.order, job]))
    for (const { order, jobId, submits, unconfirmed } of experiences) {
      const job = byOrder.get(order.number)
      const isUnclear = jobId !== undefined || unconfirmed || submits.includes('lost')
      if (!isUnclear && job !== undefined && job.status !== 'cancelled') {
        yield { what: `${submits.join(', ')}, yet it is ${job.status}`, jobId: job.id }
      }
    }
  },
  'every job has ended': ofEachJob(({ status }) => !ends.includes(status) && `it is ${status}`),
  'a job is charged once, and refunded once if and only if it failed or was cancelled': ofEachJob(
    ({ status, charges, refunds }) =>
      (charges !== 1 || refunds !== (status === 'completed' ? 0 : 1)) &&
      `${status} with ${charges} charges and ${refunds} refunds`,
  ),
  'filmgate ledger verify finds the books in order': function* ({ ledgerVerify: { code, stdout, stderr } }) {
    if (code !== 0) yield { what: `exit ${code}: ${stdout} ${stderr}` }
  },
  'a job is at one upstream at most, once, and sent again only after it was refused or is not there':
    ofEachJob(({ truth }) => truth && sendingFault(truth)),
  'an upstream takes what it is sent, unless its script says otherwise': ({ truth }) =>
    truth.unwanted.map((what) => ({ what })),
  'what is written of attempts is what the upstream saw': ofEachJob(({ attempts, truth, errorCode }) => {
    const open = attempts.find(({ status }) => status === 'sending' || status === 'unknown')
    if (open && errorCode !== 'PROVIDER_TIMEOUT') return `attempt ${open.number} is still ${open.status}`
    if ((truth?.posts.length ?? 0) > attempts.length)
      return `${truth?.posts.length} submits, ${attempts.length} attempts`
    const accepted = attempts.find(({ status }) => status === 'accepted')
    return accepted && madeOf(accepted, truth) === undefined && `accepted as ${accepted.upstreamId}`
  }),
  'what an attempt was billed is what its upstream has charged': ofEachJob(({ status, attempts, truth }) => {
    for (const attempt of attempts) {
      const charged = madeOf(attempt, truth)?.billedMicroCents ?? null
      // what is asked about no more may never have told its bill
      const isTold = attempt.billedMicroCents !== null || status === 'completed'
      const billed = attempt.billedMicroCents === null ? null : Number(attempt.billedMicroCents)
      if (isTold && billed !== charged) return `billed ${billed}, the upstream says ${charged}`
    }
    return undefined
  }),
  'charge less refund less cost is what the operator is told to have earned': ofEachJob(moneyFault),
  'a job ends as it ended at its upstream': ofEachJob(endingFault),
  'a timeline is legal and complete': ofEachJob(timelineFault),
  'a completed job has its files, byte for byte': ofEachJob(({ status, outputs, truth }, { files }) => {
    if (status !== 'completed') return outputs.length > 0 && `${status} with files`
    if (outputs.length === 0) return 'it has none'
    for (const { key, poster, thumbnail, sha256, bytes } of outputs) {
      if (files.get(key) !== sha256 || truth?.sha256 !== sha256 || Number(bytes) !== truth.bytes) {
        return `${key} (${sha256}) is stored as ${files.get(key)} and was ${truth?.sha256}`
      }
      for (const other of [poster, thumbnail])
        if (other !== null && !files.has(other)) return `${other} is missing`
    }
    return undefined
  }),
  'no file is without a job': function* ({ jobs, files }) {
    const known = new Set(
      jobs.flatMap((job) => job.outputs.flatMap(({ key, poster, thumbnail }) => [key, poster, thumbnail])),
    )
    for (const key of files.keys()) {
      const jobId = /job_\w+/.exec(key)?.[0]
      if (!known.has(key)) yield { what: key, ...(jobId && { jobId }) }
    }
  },
  'a webhook is delivered, or marked as failed with its log': ofEachJob(webhookFault),
  'every delivery verifies': ({ receivers }) => receivers.forged.map((what) => ({ what })),
  'no task is left over': ({ tasks }) => tasks.map((task) => ({ what: JSON.stringify(task) })),
  'no poll is left of an ended job, but to wait for a late result': function* ({ polls }) {
    for (const { jobId, status, errorCode } of polls) {
      if (errorCode !== 'PROVIDER_TIMEOUT') yield { what: `${status} ${errorCode ?? ''}`, jobId }
    }
  },
  'a forged callback is refused, and no other': ofEachJob(({ truth, attempts }) =>
    truth?.callbacks.find((told) => {
      // of a job that is not at an upstream nothing is looked at; what fal signs with may not be had for a while
      const isSure = attempts.length === 1 && attempts[0]!.status === 'accepted'
      const isKling = attempts[0]?.provider === 'kling'
      if (isSure && (told.startsWith('unsigned: 2') || (isKling && told.startsWith('altered: 2'))))
        return true
      return told.startsWith('at a wrong address: 2') || told === 'genuine: 401'
    }),
  ),
  'a job whose answer was lost is found by the callback that tells of it': ofEachJob(
    ({ attempts, truth }) =>
      attempts.at(-1)?.status === 'unknown' &&
      truth?.callbacks.includes('genuine: 200') &&
      'a genuine one was taken, and its attempt is still unknown',
  ),
  'a client sees what the contract says': function* ({ experiences }) {
    for (const { breaches, jobId, order } of experiences) {
      for (const what of breaches) yield { what: `order ${order.number}: ${what}`, ...(jobId && { jobId }) }
    }
  },
  'what a client has seen of a job holds': function* ({ experiences, jobs }) {
    const byId = new Map(jobs.map((job) => [job.id, job]))
    for (const { jobId, seen, cancelled, events } of experiences) {
      const job = byId.get(jobId ?? '')
      if (job === undefined) continue
      const course = ['pending', 'processing', job.status]
      const places = seen.map((status) => course.indexOf(status))
      const isForward = places.every((place, index) => place >= 0 && place >= (places[index - 1] ?? 0))
      if (!isForward) yield { what: `gets showed ${seen.join(', ')}, it is ${job.status}`, jobId: job.id }
      if (cancelled && job.status !== 'cancelled') yield { what: 'its cancel was confirmed', jobId: job.id }
      const ids = events.map(({ id }) => Number(id))
      if (ids.some((id, index) => index > 0 && id <= ids[index - 1]!)) {
        yield { what: `events came as ${ids.join(', ')}`, jobId: job.id }
      }
    }
  },
  'no request is cut off but by a sudden death': function* ({ losses, gateways }) {
    for (const loss of losses) {
      const gateway = gateways[loss.gateway]!
      if (loss.isFair && !isExplained(loss, gateway))
        yield { what: `${loss.what}; ${nearest(loss, gateway)}` }
    }
  },
  'a graceful stop repeats nothing': ofEachJob(({ order, truth, webhooks }, { gentleOrders }) => {
    if (!gentleOrders.has(order) || truth === undefined) return undefined
    const { posts, lookUps, fileRequests } = truth
    const deliveries = webhooks.map(({ attempts }) => attempts)
    const isOnce =
      posts.length <= 1 && lookUps.length === 0 && fileRequests <= 1 && deliveries.every((n) => n === 1)
    return (
      !isOnce &&
      `${posts.length} submits, ${lookUps.length} look-ups, ${fileRequests} file requests, deliveries ${deliveries}`
    )
  }),
  'a server dies only of what is done to it': function* ({ gateways }) {
    for (const { url, deaths } of gateways) {
      for (const { how, detail } of deaths) if (how === 'by itself') yield { what: `${url}: ${detail}` }
    }
  },
  'no key of an upstream is in a log, or in what is kept of a job': function* ({ logLines, jobs, secrets }) {
    const isTold = (text: string) => secrets.some((secret) => text.includes(secret))
    for (const what of logLines.filter(isTold)) yield { what: what.slice(0, 500) }
    for (const { id, events, attempts, webhooks } of jobs) {
      if (isTold(JSON.stringify([events, attempts, webhooks]))) yield { what: 'it is kept', jobId: id }
    }
  },
  'nothing unforeseen is in the logs': function* ({ logLines }) {
    const strange = logLines.filter(isStrange)
    for (const what of strange.slice(0, 20)) yield { what: what.slice(0, 2_000) }
    if (strange.length > 20) yield { what: `and ${strange.length - 20} lines more` }
  },
}

/** Judges a run. */
export function check(evidence: Evidence): Violation[] {
  return Object.entries(rules).flatMap(([rule, find]) =>
    [...find(evidence)].map((found) => ({ rule, ...found })),
  )
}

function madeOf({ provider, upstreamId }: JobEvidence['attempts'][number], truth: JobTruth | undefined) {
  return truth?.made.find(({ upstream, id }) => upstream === provider && id === upstreamId)
}

function moneyFault(job: JobEvidence): string | false {
  const { status, truth, costMicroCents, marginMicroCents } = job
  const [charged, refunded] = [Number(job.chargedMicroCents), Number(job.refundedMicroCents)]
  if (refunded !== (status === 'completed' ? 0 : charged))
    return `${status}, ${refunded} refunded of ${charged}`
  if (costMicroCents === null || marginMicroCents === null)
    return costMicroCents !== marginMicroCents && 'a margin without a cost'
  const cost = Number(costMicroCents)
  const margin = charged - refunded - cost
  if (Number(marginMicroCents) !== margin) return `the margin is ${margin}, told is ${marginMicroCents}`
  const [made] = truth?.made ?? []
  if (made === undefined) return cost !== 0 && `it cost ${cost}, and nothing was made of it`
  const isBilled = status === 'completed' && typeof made.billedMicroCents === 'number'
  return isBilled && cost !== made.billedMicroCents && `it cost ${made.billedMicroCents}, told is ${cost}`
}

function endingFault({ status, errorCode, truth, script, attempts, order }: JobEvidence, evidence: Evidence) {
  const [made] = truth?.made ?? []
  if (status === 'completed') return script.end !== 'succeeded' && `completed, upstream ${script.end}`
  if (status === 'cancelled') return made?.isCancelled === false && 'cancelled, upstream went on'
  const ordered = evidence.experiences.find((experience) => experience.order.number === order)?.order
  const wasRefused = (fate: string) =>
    truth?.posts.some((post) => post.fate === fate && post.refusedAt) === true
  // fal knows nothing of our ids: what is lost on its way there can only be waited for
  const isLost = attempts.some(({ provider, cause }) => provider === 'fal' && cause !== null)
  const isPicture = ordered !== undefined && takesPictures(ordered)
  const isFair: Record<string, boolean> = {
    CONTENT_POLICY_VIOLATION: script.end === 'rejected' || wasRefused('refuses the content'),
    GENERATION_FAILED:
      script.end === 'failed' ||
      wasRefused('refuses the parameters') ||
      made?.isCancelled === true ||
      isPicture,
    // where no gateway was up to hand it out
    INPUT_MEDIA_UNREACHABLE: isPicture,
    OUTPUT_UNAVAILABLE: script.file === 'is missing',
    PROVIDER_TIMEOUT: ordered?.isLate === true || isLost,
  }
  return !isFair[errorCode ?? ''] && `${status} with ${errorCode}`
}

function timelineFault({ status, events, attempts }: JobEvidence): string | undefined {
  const told = (kind: string) => events.filter((event) => event.kind === kind).length
  if (events[0]?.kind !== 'submitted' || told('submitted') !== 1) return 'it does not begin with its submit'
  const changes = events.filter(({ to }) => to !== null)
  let now: string | null = 'pending'
  for (const { from, to } of changes) {
    if (from !== now) return `${from} → ${to} while ${now}`
    now = to
  }
  if (now !== status) return `it ends as ${now}, the job is ${status}`
  if (told('attempt_sent') !== attempts.length)
    return `${told('attempt_sent')} sent, ${attempts.length} attempts`
  for (const outcome of ['accepted', 'refused', 'absent']) {
    const counted = attempts.filter((attempt) => attempt.status === outcome).length
    if (told(`attempt_${outcome}`) !== counted)
      return `${told(`attempt_${outcome}`)} told ${outcome}, ${counted} are`
  }
  if (status === 'completed' && told('output_ready') === 0) return 'completed without a result'
  return undefined
}

/** As often as the short schedule says, the first attempt included. */
const attemptsOfShortSchedule = 6

function webhookFault({ status, webhookUrl, webhooks }: JobEvidence, { receivers }: Evidence) {
  const isDue = webhookUrl !== null && status !== 'cancelled'
  if (webhooks.length !== (isDue ? 1 : 0)) return `${webhooks.length} webhooks`
  for (const { id, status: fate, body, attempts } of webhooks) {
    const came = receivers.deliveries.get(id)
    if (fate === 'pending') return `pending after ${attempts} attempts`
    if (came && [...came.bodies].some((other) => other !== body)) return 'its body changed'
    if (fate === 'sent' && !came?.taken) return 'sent, but nobody took it'
    if (fate === 'failed' && (came?.taken || attempts < attemptsOfShortSchedule))
      return `failed after ${attempts} attempts`
  }
  return undefined
}

function nearest({ from, to }: Loss, { url, deaths }: Gateway): string {
  const near = deaths.filter(({ at }) => at > from - 10_000 && at < to + 10_000)
  const told = near.map(({ how, at }) => `${how} ${Math.round(at - to)} ms after it`)
  return `${url} took ${Math.round(to - from)} ms; ${told.join(', ') || 'nothing was done to it'}`
}

/** A request may end with the process that it was sent to, if that died a sudden death. */
function isExplained({ from, to }: Loss, { deaths }: Gateway): boolean {
  return deaths.some(({ how, at }) => how !== 'drained' && at > from - 1_000 && at < to + 1_000)
}

// What is logged of the trouble that is made here: any line is foreseen whose error came of the database's being away.
const ofUpstreams =
  /^(an upstream gave no answer|an upstream takes no jobs|provider did not forget|a forged callback was refused|a callback could not be read|answer of a submit lost|submit not taken|output not stored|freed the tasks of|took up |cancelled a job whose|nothing to give back|not ready|a step of the (start|stop) takes long|waits \d+ s for |more than 80 % of all connections|refused requests were not kept|FILMGATE_ALLOW_PRIVATE)/
// the clocks are set back on purpose, and the catalogue is sold at its own prices
const ofTheScene = /^(the clock of this process is 5 min 0 s behind|\d+ of \d+ models sell below)/
const ofTheDatabase = /^(the queue |PUBSUB_PUBLISH_FAILED|SERVICE_UNAVAILABLE)/
const databaseTrouble =
  /^(08|53|57|58|40)|^55P03$|ECONN|ENOENT|EPIPE|Connection terminated|terminating connection|the database system is|timeout|Client has encountered|Cannot use a pool|answer to a commit was lost/

/** The queue's library prints a trace where a connection breaks while it tries again: behind its first line, these. */
const restOfTrace =
  /^( {4}at | {2}(errno|code|syscall|address|length|severity|detail|hint|position|internal\w+|where|schema|table|column|dataType|constraint|file|line|routine): |\}$)/

/** Lines of trouble that was not made on purpose: not in the log's form, of an unknown kind, or of another cause. */
function isStrange(line: string): boolean {
  try {
    const { msg, err } = JSON.parse(line) as { msg: string; err?: { code?: string; message?: string } }
    if (ofUpstreams.test(msg) || ofTheScene.test(msg)) return false
    const isAway = databaseTrouble.test(err?.code ?? '') || databaseTrouble.test(err?.message ?? '')
    // the queue's library writes its own lines, without an error
    const isQueue = err === undefined && (ofTheDatabase.test(msg) || databaseTrouble.test(msg))
    return !isAway && !isQueue
  } catch {
    return !restOfTrace.test(line) && !(line.startsWith('Trace: ') && databaseTrouble.test(line))
  }
}
