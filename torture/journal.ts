import { type AskFate, askFate, type Script, type SubmitFate, scriptOf, type Temper } from './script.ts'
import type { JobTruth, Post, Truth, UpstreamName } from './truth.ts'
import { orderIn, type Plan } from './vendors.ts'

/** A job as the upstreams know it. */
export interface Job {
  truth: JobTruth
  order: number
  script: Script
  /** What the submit under way is to come to. */
  fate: SubmitFate
  /** Of a file that expires: the link that has. */
  expiredLink?: string
}

/** What the upstreams have seen and done: in a process of its own, which outlives what is done to the gateways. */
export interface Journal {
  set(temper: Temper): void
  readonly temper: Temper
  /** Kling takes nothing while it has no credit. */
  setCredit(has: boolean): void
  job(jobId: string): Job | undefined
  /** Writes a submit down and decides what becomes of it. */
  post(upstream: UpstreamName, jobId: string, body: string): { job: Job; post: Post }
  refused(post: Post): void
  unwanted(job: Job, answer: string): void
  lookUp(job: Job, absent: boolean): void
  calledBack(job: Job, kind: string, status: number): void
  ask(kind: string): AskFate
  planOf(order: number): Plan | undefined
  note(job: Job, text: string): void
  count(fault: string): void
  truth(madeOf: (jobId: string) => JobTruth['made']): Truth
}

export function openJournal(
  { seed, temper: usual }: { seed: number; temper: Temper },
  fileUrl: (jobId: string) => string,
): Journal {
  const jobs = new Map<string, Job>()
  const byOrder = new Map<number, Job>()
  const faults: Record<string, number> = {}
  const calls: Record<string, number> = {}
  const unwanted: string[] = []
  let temper: Temper = 'calm'
  let hasCredit = true
  let moment = 0

  const count = (fault: string) => {
    faults[fault] = (faults[fault] ?? 0) + 1
  }
  const note = ({ truth }: Job, text: string) => truth.transcript.push(`${new Date().toISOString()} ${text}`)

  function begin(jobId: string, body: string): Job {
    const known = jobs.get(jobId)
    if (known !== undefined) return known
    const order = orderIn(body)
    const isCalm = body.includes(', calm')
    const job: Job = {
      truth: { jobId, posts: [], lookUps: [], made: [], fileRequests: 0, callbacks: [], transcript: [] },
      order,
      script: scriptOf(seed, order, isCalm ? 'calm' : usual, body.includes(', late')),
      fate: 'accepts',
    }
    jobs.set(jobId, job)
    byOrder.set(order, job)
    return job
  }

  function fateOf(upstream: UpstreamName, { truth, script }: Job): SubmitFate {
    if (temper === 'calm') return 'accepts'
    if (!hasCredit && upstream === 'kling') return 'has no credit'
    return script.submits[truth.posts.length] ?? 'accepts'
  }

  return {
    set(next) {
      temper = next
    },
    get temper() {
      return temper
    },
    setCredit(has) {
      hasCredit = has
    },
    job: (jobId) => jobs.get(jobId),
    post(upstream, jobId, body) {
      const job = begin(jobId, body)
      job.fate = fateOf(upstream, job)
      const post: Post = { at: ++moment, upstream, fate: job.fate }
      job.truth.posts.push(post)
      note(job, `submit ${job.truth.posts.length} to ${upstream}: ${job.fate}`)
      count(`${upstream} submit ${job.fate}`)
      return { job, post }
    },
    refused(post) {
      post.refusedAt = ++moment
    },
    unwanted(job, answer) {
      note(job, `not wanted: ${answer}`)
      unwanted.push(`${job.truth.jobId}: ${answer}`)
    },
    lookUp(job, absent) {
      job.truth.lookUps.push({ at: ++moment, absent })
      note(job, `look-up: ${absent ? 'absent' : 'found'}`)
    },
    calledBack(job, kind, status) {
      note(job, `callback ${kind}: ${status}`)
      job.truth.callbacks.push(`${kind}: ${status}`)
    },
    ask(kind) {
      calls[kind] = (calls[kind] ?? 0) + 1
      const fate = askFate(seed, kind, calls[kind], temper)
      count(`${kind} ${fate}`)
      return fate
    },
    planOf(order) {
      const job = byOrder.get(order)
      if (job === undefined) return undefined
      return { fate: job.fate, script: job.script, order, fileUrl: fileUrl(job.truth.jobId) }
    },
    note,
    count,
    truth(madeOf) {
      for (const { truth } of jobs.values()) truth.made = madeOf(truth.jobId)
      return { jobs: [...jobs.values()].map(({ truth }) => truth), faults, unwanted }
    },
  }
}
