import { join } from 'node:path'
import type { Command } from 'commander'
import { loadConfig } from '../config.ts'
import { print, table, withDatabase } from './output.ts'

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description(
      'Look whether database, queue, storage, disk, workers and clock are well, from this machine. Exits 1 if requests can not be served.',
    )
    .option('--json', 'print one JSON document')
    .action(examine)
}

async function examine(options: { json?: boolean }): Promise<void> {
  // only here: help starts sooner without them
  const [{ pino }, { watchDisk }, { createHealth }, { readyChecks }, { readServers }, { openStorage }] =
    await Promise.all([
      import('pino'),
      import('../disk.ts'),
      import('../health.ts'),
      import('../http/ready-checks.ts'),
      import('../jobs/servers.ts'),
      import('../storage/open.ts'),
    ])
  const config = loadConfig(process.env)
  // what is found is printed
  const log = pino({ level: 'silent' })
  const report = await withDatabase(async ({ pool, clock }) => {
    const { storage, close } = await openStorage(config, join(config.dataDir, 'tmp'), clock)
    const disk = await watchDisk(config.dataDir, config.minFreeDiskBytes, log)
    const asked = {
      pool,
      lookupPool: pool,
      submitPool: undefined,
      queuePool: undefined,
      storage,
      disk,
      clock,
    }
    const health = createHealth(readyChecks(asked), [], log)
    try {
      const servers = (await readServers(pool)).filter(({ isAlive }) => isAlive)
      return {
        ...(await health.report()),
        servers: servers.map(({ role, host, pid }) => ({ role, host, pid })),
      }
    } finally {
      health.stop()
      disk.stop()
      await close()
    }
  })
  print(options, report, [
    report.status === 'ok' ? 'All is well.' : `It is ${report.status}.`,
    ...report.reasons,
    '',
    ...table(Object.entries(report.checks)),
    '',
    report.servers.length === 0
      ? 'no server is running'
      : `servers: ${report.servers.map(({ role, host, pid }) => `${role} on ${host} (pid ${pid})`).join(', ')}`,
  ])
  if (report.status === 'unavailable') process.exitCode = 1
}
