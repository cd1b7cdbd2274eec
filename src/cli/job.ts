import type { Command } from 'commander'
import { dollars } from '../dollars.ts'
import { listJobsForOperator, showJobForOperator } from '../jobs/operator.ts'
import { count } from './arguments.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'

export function addJobCommands(program: Command): void {
  const job = program.command('job').description("Look at jobs with an operator's eyes.")
  job
    .command('show')
    .description('Show everything that is known of a job.')
    .argument('<job>', 'job id')
    .option('--json', 'print one JSON document')
    .action(async (jobId: string, options: { json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const found = await showJobForOperator(pool, jobId)
        if (found === undefined) throw new CommandFailed(`there is no job ${jobId}`)
        const rows = Object.entries(found).map(([name, value]) => [
          name,
          typeof value === 'string' ? value : JSON.stringify(value),
        ])
        print(options, found, table(rows))
      })
    })
  job
    .command('list')
    .description('List the newest jobs of all users.')
    .option('--limit <count>', 'how many, 1 to 1000', count, 20)
    .option('--json', 'print one JSON document')
    .action(async (options: { limit: number; json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const jobs = await listJobsForOperator(pool, options.limit)
        const rows = jobs.map((row) => [
          row.jobId,
          row.status,
          row.model,
          dollars(row.costMicroCents),
          row.email,
          row.createdAt,
        ])
        print(options, { jobs }, table([['job', 'status', 'model', 'cost', 'user', 'created'], ...rows]))
      })
    })
}
