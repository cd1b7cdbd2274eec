import { dollars } from '../dollars.ts'
import type { OperatorReport } from '../jobs/operator.ts'
import { table } from './output.ts'

/** A job for a person: what is known of it, then what was sent, what is asked and what happened, with the times since its start. */
export function describeReport(report: OperatorReport): string[] {
  const { attempts, polling, timeline, money, transfers, ...rest } = report
  const start = Date.parse(report.createdAt)
  const since = (at: string | null) =>
    at === null ? '' : `+${((Date.parse(at) - start) / 1000).toFixed(1)} s`
  const known = Object.entries(rest).map(([name, value]) =>
    name === 'priceMicroCents' ? ['price', dollars(report.priceMicroCents)] : [name, textOf(value)],
  )
  const attemptRows = attempts.map((attempt) => [
    String(attempt.number),
    attempt.provider,
    attempt.model ?? '',
    attempt.status,
    since(attempt.startedAt),
    since(attempt.answeredAt),
    since(attempt.finishedAt),
    costOf(attempt),
    attempt.cause ?? textOf(attempt.operation),
  ])
  const eventRows = timeline.map(({ at, kind, from, to, detail }) => [
    since(at),
    kind,
    to === null ? '' : `${from} → ${to}`,
    detail === null ? '' : textOf(detail),
  ])
  return [
    ...table(known),
    '',
    'money',
    ...table([
      ['charged', dollars(money.chargedMicroCents)],
      ['given back', dollars(money.refundedMicroCents)],
      ['of it goodwill', dollars(money.goodwillMicroCents)],
      ['cost', amountOf(money.costMicroCents)],
      ['margin', report.mode === 'test' ? '–' : amountOf(money.marginMicroCents)],
    ]),
    ...section(
      'transfers',
      ['time', 'kind', 'amount', 'note'],
      transfers.map(({ createdAt, kind, amountMicroCents, note }) => [
        since(createdAt),
        kind,
        dollars(amountMicroCents),
        note ?? '',
      ]),
    ),
    ...section(
      'attempts',
      ['number', 'upstream', 'model', 'status', 'sent', 'answered', 'done', 'cost', 'operation or cause'],
      attemptRows,
    ),
    ...(polling === null
      ? []
      : ['', 'polling', ...table(Object.entries(polling).map(([name, value]) => [name, textOf(value)]))]),
    ...section('timeline', ['time', 'event', 'status', 'detail'], eventRows),
  ]
}

function costOf({ costMicroCents, billedCostMicroCents }: OperatorReport['attempts'][number]): string {
  return `${amountOf(costMicroCents)}${billedCostMicroCents === null ? '' : ' billed'}`
}

function amountOf(microCents: number | null): string {
  return microCents === null ? 'not known' : dollars(microCents)
}

function section(title: string, head: string[], rows: string[][]): string[] {
  return rows.length === 0 ? [] : ['', title, ...table([head, ...rows])]
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
