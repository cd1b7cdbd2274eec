import type { Command } from 'commander'
import { verifyLedger } from '../ledger/verify.ts'
import { print, withDatabase } from './output.ts'

export function addLedgerCommands(program: Command): void {
  const ledger = program.command('ledger').description('Check the books.')
  ledger
    .command('verify')
    .description(
      'Check that every account balances, that each job is charged once and refunded at most once, and that no entry is orphaned. Exits 1 and prints the offending rows otherwise.',
    )
    .option('--json', 'print one JSON document')
    .action(async (options: { json?: boolean }) => {
      const report = await withDatabase(async ({ pool }) => {
        const client = await pool.connect()
        try {
          return await verifyLedger(client)
        } finally {
          client.release()
        }
      })
      const totals = Object.entries(report.totals).map(([name, value]) => `${name} ${value}`)
      const problems = report.problems.map(({ rule, row }) => `broken: ${rule}: ${JSON.stringify(row)}`)
      print(options, report, [
        report.ok ? 'The ledger is in order.' : 'The ledger is NOT in order.',
        ...totals,
        ...problems,
      ])
      if (!report.ok) process.exitCode = 1
    })
}
