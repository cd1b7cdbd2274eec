import { type Command, Option } from 'commander'
import type pg from 'pg'
import { dollars } from '../dollars.ts'
import type { EndedByOperator } from '../jobs/give-up.ts'
import { listJobsForOperator, showJobForOperator } from '../jobs/operator.ts'
import { type JobStatus, progressOf } from '../jobs/read.ts'
import { shortenLinks } from '../shorten-links.ts'
import { count, word } from './arguments.ts'
import { describeReport } from './job-report.ts'
import { amount, note, oneOf, usdOption } from './money.ts'
import { CommandFailed, print, table, withDatabase } from './output.ts'

interface RefundOptions {
  note: string
  amount?: bigint
  usd?: bigint
  json?: boolean
}

export function addJobCommands(program: Command): void {
  const job = program.command('job').description("Look at jobs with an operator's eyes.")
  job
    .command('show')
    .description('Show everything that is known of a job: money, attempts, polling, timeline, webhook.')
    .argument('<job>', 'job id', word)
    .option('--links', 'show links whole: whoever has a signed one can use it')
    .option('--json', 'print one JSON document')
    .action(async (jobId: string, options: { links?: boolean; json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const found = await showJobForOperator(pool, jobId)
        if (found === undefined) throw new CommandFailed(`there is no job ${jobId}`)
        const shown = options.links ? found : shortenLinks(found)
        print(options, shown, describeReport(shown))
      })
    })
  job
    .command('list')
    .description('List the newest jobs of all users.')
    .option('--limit <count>', 'how many, 1 to 1000', count, 20)
    .addOption(new Option('--status <status>', 'only these').choices(Object.keys(progressOf)))
    .option(
      '--stuck',
      'only those that do not get on, or whose webhook could not be delivered, each with the cause and what can be done',
    )
    .option('--json', 'print one JSON document')
    .action(async (options: { limit: number; status?: JobStatus; stuck?: boolean; json?: boolean }) => {
      await withDatabase(async ({ pool }) => {
        const { limit, status, stuck } = options
        if (stuck) return listStuck(pool, { limit, status }, options)
        const jobs = await listJobsForOperator(pool, limit, { status })
        const rows = jobs.map((row) => [
          row.jobId,
          row.status,
          row.model,
          dollars(row.priceMicroCents),
          row.mode === 'test'
            ? '–'
            : row.marginMicroCents === null
              ? 'not known'
              : dollars(row.marginMicroCents),
          row.email,
          row.createdAt,
        ])
        print(
          options,
          { jobs },
          table([['job', 'status', 'model', 'price', 'margin', 'user', 'created'], ...rows]),
        )
      })
    })
  job
    .command('refund')
    .description(
      'Give the customer of a job that has ended money back, of what is left of its charge: goodwill. The same note for the same job is the same goodwill, and gives nothing twice.',
    )
    .argument('<job>', 'job id', word)
    .requiredOption('--note <text>', 'why; kept in the ledger', note)
    .option('--amount <microcents>', 'all that is left by default; 1,000,000 are $1.00', amount)
    .addOption(usdOption('--amount'))
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExample:\n  filmgate job refund job_… --usd 0.10 --note "late, ticket 4711"')
    .action(async (jobId: string, options: RefundOptions, command: Command) => {
      const sum = oneOf(command, '--amount', options.amount, options.usd)
      if (sum === 0n) command.error('error: the amount must be more than 0', { exitCode: 2 })
      const { refundJob } = await import('../jobs/goodwill.ts')
      await withDatabase(async ({ pool }) => {
        const given = await refundJob(pool, jobId, { amountMicroCents: sum, note: options.note })
        if (given === undefined) throw new CommandFailed(`there is no job ${jobId}`)
        if ('refused' in given) throw new CommandFailed(`${given.refused}; nothing was changed`)
        const { amountMicroCents, refundedMicroCents, isRepeated } = given
        const document = {
          jobId,
          amountMicroCents: Number(amountMicroCents),
          refundedMicroCents: Number(refundedMicroCents),
          isRepeated,
        }
        const did = isRepeated ? 'This note had given' : 'Gave'
        print(options, document, [
          `${did} ${dollars(amountMicroCents)} back; ${dollars(refundedMicroCents)} of the charge in all.`,
        ])
      })
    })
  job
    .command('cancel')
    .description(
      'Cancel a job that no upstream has or may have: its charge is given back at once, and its webhook told.',
    )
    .argument('<job>', 'job id', word)
    .option('--json', 'print one JSON document')
    .action(async (jobId: string, options: { json?: boolean }) => {
      // only here: help starts sooner without it
      const { cancelJobForOperator } = await import('../jobs/give-up.ts')
      await endJob(cancelJobForOperator, jobId, options)
    })
  job
    .command('give-up')
    .description(
      'The same, and besides end a job of which nobody can tell whether its upstream has it: failed, its charge given back once. A result that comes later is told in its timeline and changes nothing.',
    )
    .argument('<job>', 'job id', word)
    .option('--json', 'print one JSON document')
    .action(async (jobId: string, options: { json?: boolean }) => {
      const { giveUpJob } = await import('../jobs/give-up.ts')
      await endJob(giveUpJob, jobId, options)
    })
}

async function listStuck(
  pool: pg.Pool,
  filter: { limit: number; status?: JobStatus | undefined },
  options: { json?: boolean },
): Promise<void> {
  const [{ findStuckJobs }, { loadCatalogue }] = await Promise.all([
    import('../jobs/stuck.ts'),
    import('../catalogue/load.ts'),
  ])
  const found = await findStuckJobs(pool, loadCatalogue(), filter)
  const stuck = new Map(found.map(({ jobId, ...why }) => [jobId, why]))
  const listed = await listJobsForOperator(pool, filter.limit, { jobIds: [...stuck.keys()] })
  const jobs = listed.map((job) => ({ ...job, ...stuck.get(job.jobId)! }))
  const rows = jobs.map((job) => [
    job.jobId,
    job.status,
    job.model,
    dollars(job.priceMicroCents),
    job.email,
    job.createdAt,
    job.cause,
  ])
  const remedies = Map.groupBy(jobs, ({ remedy }) => remedy)
  print(options, { jobs }, [
    ...table([['job', 'status', 'model', 'price', 'user', 'created', 'cause'], ...rows]),
    ...(jobs.length === 0 ? ['no job is stuck'] : ['']),
    ...[...remedies].map(([remedy, of]) => `${of.map(({ jobId }) => jobId).join(', ')}: ${remedy}`),
  ])
}

async function endJob(
  end: (pool: pg.Pool, jobId: string, now: Date) => Promise<EndedByOperator>,
  jobId: string,
  options: { json?: boolean },
): Promise<void> {
  await withDatabase(async ({ pool, clock }) => {
    const outcome = await end(pool, jobId, clock.now())
    if (outcome === 'no such job') throw new CommandFailed(`there is no job ${jobId}`)
    if ('refused' in outcome) throw new CommandFailed(`${outcome.refused}; nothing was changed`)
    const { status, refundedMicroCents } = outcome
    print(options, { jobId, status, refundedMicroCents }, [
      `${jobId} is ${status}, and its charge (${dollars(refundedMicroCents)}) given back.`,
    ])
  })
}
