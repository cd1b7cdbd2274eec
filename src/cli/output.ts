import { pino } from 'pino'
import { type Config, loadConfig } from '../config.ts'
import type { Database } from '../database.ts'

/** A command could not do what it was asked; the message is one line for the person at the terminal. */
export class CommandFailed extends Error {}

/** Prints one JSON document with --json, else the lines. */
export function print(options: { json?: boolean | undefined }, document: unknown, lines: string[]): void {
  console.log(options.json ? JSON.stringify(document) : lines.join('\n'))
}

/** The log on stderr, as JSON lines. */
export function createLog(config: Pick<Config, 'logLevel'>) {
  return pino({ level: config.logLevel, base: null }, pino.destination(2))
}

/** Opens the database that the environment names, brings it up to date, and closes it after `work`. */
export async function withDatabase<T>(work: (database: Database) => Promise<T>): Promise<T> {
  const config = loadConfig(process.env)
  const log = createLog({ logLevel: process.env.FILMGATE_LOG_LEVEL ? config.logLevel : 'error' })
  // only here: the customer's commands and every help start sooner without them
  const [{ openDatabase }, { migrate }] = await Promise.all([
    import('../database.ts'),
    import('../migrate.ts'),
  ])
  const database = await openDatabase(config, 'command', log)
  try {
    await migrate(database.pool, log)
    return await work(database)
  } finally {
    await database.close()
  }
}

/** A table with padded columns. */
export function table(rows: string[][]): string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** Micro-cents as dollars: 350000 is "$0.35". */
export function dollars(microCents: number): string {
  const [whole, fraction = ''] = (microCents / 1_000_000).toFixed(6).split('.')
  return `$${whole}.${fraction.replace(/0{1,4}$/, '')}`
}
