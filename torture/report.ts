import type { Evidence, JobEvidence } from './evidence.ts'
import type { Options, Outcome } from './run.ts'

const shownPerRule = 5

/** What a run was and what it came to, as Markdown. */
export function report(
  { seed, temper, processes, upstreams }: Options,
  { evidence, violations, seconds }: Outcome,
): string {
  const { experiences, jobs, gateways, truth, receivers, losses } = evidence
  const deaths = gateways.flatMap((gateway) => gateway.deaths)
  const lines = [
    '# Torture',
    '',
    `Seed ${seed}, ${temper}, ${upstreams.join(' and ')}, ${processes} processes, ${Math.round(seconds)} s.`,
    '',
    ...table('Counts', [
      ['orders', experiences.length],
      ['submits sent', sum(experiences.map(({ submits }) => submits.length))],
      ['submits whose answer was lost', experiences.filter(({ submits }) => submits.includes('lost')).length],
      ['submits that could not be confirmed', experiences.filter(({ unconfirmed }) => unconfirmed).length],
      ['requests cut off by a sudden death', losses.length],
      ['jobs', jobs.length],
      ...counted(
        jobs.map(({ status, errorCode }) => (errorCode === null ? status : `${status}: ${errorCode}`)),
      ),
      ['attempts', sum(jobs.map(({ attempts }) => attempts.length))],
      ...counted(jobs.flatMap(({ attempts }) => attempts.map(({ status }) => `attempts ${status}`))),
      [
        'late results',
        sum(jobs.map(({ events }) => events.filter(({ kind }) => kind === 'late_result').length)),
      ],
      ['webhooks', sum(jobs.map(({ webhooks }) => webhooks.length))],
      ...counted(jobs.flatMap(({ webhooks }) => webhooks.map(({ status }) => `webhooks ${status}`))),
      ['deliveries', sum([...receivers.deliveries.values()].map(({ attempts }) => attempts))],
      [
        'made and paid for, though given up',
        jobs.filter(({ errorCode, attempts, truth }) => {
          const isOpen =
            errorCode === 'PROVIDER_TIMEOUT' && attempts.some(({ status }) => status === 'unknown')
          return isOpen && truth?.made.some(({ billedMicroCents }) => billedMicroCents !== undefined)
        }).length,
      ],
      ['files stored', evidence.files.size],
      ...moneyOf(jobs),
    ]),
    ...table(
      'Deaths of servers',
      counted(
        deaths.map(({ how, detail }) =>
          how === 'fault point' ? `${how} ${detail.replace(/:\d+$/, '')}` : how,
        ),
      ),
    ),
    ...table('What the upstreams did', Object.entries(truth.faults).sort()),
    ...table('Times', [
      ...quantiles(
        'submit answered, ms',
        experiences.flatMap(({ submitMs }) => submitMs ?? []),
      ),
      ...quantiles(
        'job at work, s',
        jobs.flatMap(({ processingMs }) => (processingMs === null ? [] : processingMs / 1000)),
      ),
    ]),
    `## Violations: ${violations.length}`,
    '',
  ]
  const byRule = Map.groupBy(violations, ({ rule }) => rule)
  const byId = new Map(jobs.map((job) => [job.id, job]))
  for (const [rule, found] of byRule) {
    lines.push(`### ${rule}: ${found.length}`, '')
    for (const { what, jobId } of found.slice(0, shownPerRule)) {
      lines.push(`- ${what}${jobId === undefined ? '' : ` (${jobId})`}`)
      const job = byId.get(jobId ?? '')
      if (job !== undefined) lines.push(...timelineOf(job, evidence).map((line) => `    ${line}`))
    }
    if (found.length > shownPerRule) lines.push(`- and ${found.length - shownPerRule} more`)
    lines.push('')
  }
  return lines.join('\n')
}

/** Of the gateway and of the upstream, each in its own order: their clocks may differ. */
function timelineOf(
  { events, attempts, truth, order, script, webhooks }: JobEvidence,
  { experiences }: Evidence,
): string[] {
  const experience = experiences.find((candidate) => candidate.order.number === order)
  return [
    `script: ${JSON.stringify(script)}`,
    `client: ${JSON.stringify(experience)}`,
    ...events.map(
      ({ at, kind, detail }) => `${at} ${kind}${detail === null ? '' : ` ${JSON.stringify(detail)}`}`,
    ),
    ...attempts.map((attempt) => `attempt ${JSON.stringify(attempt)}`),
    ...(truth?.transcript ?? ['no upstream ever heard of it']).map((line) => `upstream ${line}`),
    ...webhooks.map((webhook) => `webhook ${JSON.stringify(webhook)}`),
  ]
}

/** In dollars. */
function moneyOf(jobs: JobEvidence[]): [string, string][] {
  const total = (amounts: (string | null)[]) => (sum(amounts.map(Number)) / 1_000_000).toFixed(2)
  return [
    ['charged, $', total(jobs.map(({ chargedMicroCents }) => chargedMicroCents))],
    ['refunded, $', total(jobs.map(({ refundedMicroCents }) => refundedMicroCents))],
    ['cost, $', total(jobs.map(({ costMicroCents }) => costMicroCents))],
    ['margin, where the cost is known, $', total(jobs.map(({ marginMicroCents }) => marginMicroCents))],
  ]
}

function table(title: string, rows: [string, number | string][]): string[] {
  if (rows.length === 0) return []
  return [
    `## ${title}`,
    '',
    '| | |',
    '|---|---:|',
    ...rows.map(([name, value]) => `| ${name} | ${value} |`),
    '',
  ]
}

function counted(names: string[]): [string, number][] {
  const groups = Object.groupBy(names, (name) => name)
  return Object.entries(groups)
    .map(([name, all]): [string, number] => [name, all?.length ?? 0])
    .sort()
}

function quantiles(name: string, values: number[]): [string, string][] {
  if (values.length === 0) return []
  const sorted = values.sort((one, other) => one - other)
  const at = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(1)
  return [[`${name}: p50, p99, worst`, `${at(0.5)}, ${at(0.99)}, ${at(1)}`]]
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
