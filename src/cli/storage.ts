import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { loadConfig } from '../config.ts'
import { CommandFailed, print, withDatabase } from './output.ts'

export function addStorageCommands(program: Command): void {
  const storage = program.command('storage').description('Look after the stored files.')
  storage
    .command('verify')
    .description(
      'Compare the stored outputs with those that jobs should have. Exits 1 and prints the rows if a file belongs to no job or a job lacks a file.',
    )
    .option('--delete', 'delete the files that belong to no job')
    .option('--force', 'with --delete: also if the database knows the job of few of the files')
    .option('--json', 'print one JSON document')
    .action(verify)
}

async function verify(options: { delete?: boolean; force?: boolean; json?: boolean }): Promise<void> {
  // only here: help starts sooner without them
  const [{ openStorage }, { FilesOfAnother, verifyFiles }] = await Promise.all([
    import('../storage/open.ts'),
    import('../jobs/verify-files.ts'),
  ])
  const config = loadConfig(process.env)
  const report = await withDatabase(async ({ pool, clock }) => {
    // only now: where there is no installation none is made
    if (config.s3 === undefined) requireFiles(config.dataDir)
    const { storage, close } = await openStorage(config, join(config.dataDir, 'tmp'), clock)
    const client = await pool.connect()
    try {
      return await verifyFiles(client, storage, { isDeleting: !!options.delete, isForced: !!options.force })
    } catch (error) {
      throw error instanceof FilesOfAnother ? new CommandFailed(error.message) : error
    } finally {
      client.release()
      await close()
    }
  })
  const { totals, stray, missing } = report
  print(options, report, [
    report.ok ? 'Files and jobs agree.' : 'Files and jobs do NOT agree.',
    `files ${totals.stored}`,
    `of no job ${totals.stray}, deleted ${totals.deleted}`,
    `missing ${totals.missing}`,
    ...stray.map(({ key, job }) => `of no job: ${key} (job ${job})`),
    ...missing.map(({ key, jobId }) => `missing: ${key} of ${jobId}`),
  ])
  if (!report.ok) process.exitCode = 1
}

function requireFiles(dataDir: string): void {
  const folder = join(dataDir, 'files')
  if (existsSync(folder)) return
  throw new CommandFailed(
    `no filmgate files in ${folder}: set FILMGATE_DATA_DIR to the folder of the server's data, or S3_ENDPOINT and the others`,
  )
}
