import { dollars } from '../dollars.ts'
import { findRequest, type RequestReport } from '../requests/find.ts'
import { keptAtMost, keptDays } from '../requests/refused.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'

export async function showRequest(id: string, options: { json?: boolean }): Promise<void> {
  await withDatabase(async ({ pool }) => {
    const report = await findRequest(pool, id)
    if (report.jobs.length + report.refused.length === 0) throw new CommandFailed(unknown(id))
    print(options, report, describe(report))
  })
}

function unknown(id: string): string {
  return `nothing is known of the request ${id}: it made no job, and it was not refused within ${keptDays} days (the newest ${keptAtMost.toLocaleString('en-US')} refusals are kept). Others are in the logs of servers with FILMGATE_LOG_LEVEL=debug alone`
}

function describe({ requestId, at, jobs, refused }: RequestReport): string[] {
  const head = table([['request', requestId], ...(at === null ? [] : [['made', at]])])
  const made = jobs.map((job) => [
    job.jobId,
    job.status,
    job.model,
    dollars(job.priceMicroCents),
    job.userId,
    job.keyId ?? '–',
    job.createdAt,
  ])
  const refusals = refused.flatMap((each) => [
    '',
    ...table(
      Object.entries({
        refused: each.at,
        request: [each.method, each.route].filter((word) => word !== null).join(' ') || 'not readable',
        status: each.status === 499 ? '499: the client hung up before it was answered' : String(each.status),
        code: each.code ?? '–',
        message: each.message ?? '–',
        took: each.ms === null ? '–' : `${each.ms} ms`,
        user: each.userId ?? '–',
        key: each.keyId ?? '–',
        address: each.address || '–',
      }),
    ),
  ])
  return [
    ...head,
    ...(made.length === 0
      ? []
      : ['', ...table([['job', 'status', 'model', 'price', 'user', 'key', 'created'], ...made])]),
    ...refusals,
  ]
}
