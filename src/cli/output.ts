import { pino } from 'pino'
import type { Clock } from '../clock.ts'
import { type Config, loadConfig } from '../config.ts'
import type { Database } from '../database.ts'
import { createStep } from '../start-step.ts'

/** A command could not do what it was asked; the message is one line for the person at the terminal. */
export class CommandFailed extends Error {}

/** Prints one JSON document with --json, else the lines. */
export function print(options: { json?: boolean | undefined }, document: unknown, lines: string[]): void {
  console.log(options.json ? toJson(document) : printable(lines.join('\n')))
}

// JSON.stringify lets DEL and C1 stand, which some terminals obey.
function toJson(document: unknown): string {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  return JSON.stringify(document).replace(/\p{Cc}/gu, escaped)
}

/**
 * Text for a terminal. Much of it was written by somebody else, such as the receiver of a webhook: control characters,
 * by which it could write over other lines or into the clipboard, are shown and not obeyed. Lines stay lines.
 */
export function printable(text: string): string {
  return text.replace(/(?!\n)\p{Cc}/gu, picture)
}

// Unicode has a picture of each of C0, and of DEL.
function picture(character: string): string {
  const code = character.charCodeAt(0)
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '\u2421' : '\ufffd'
}

/** The log on stderr: lines of JSON, or of text for a person at a terminal. */
export async function createLog({ logLevel, logFormat }: Pick<Config, 'logLevel' | 'logFormat'>) {
  // pino's own destination tries for ever what can't be written, as to a closed terminal or a full disk, and keeps the process
  const destination = process.stderr
  const isText = (logFormat ?? (process.stderr.isTTY ? 'text' : 'json')) === 'text'
  return pino({ level: logLevel, base: null }, isText ? await textLog(destination) : destination)
}

// only here: what writes JSON starts sooner without it
async function textLog(destination: { write(text: string): unknown }) {
  const { prettyFactory } = await import('pino-pretty')
  const colorize = Boolean(process.stderr.isTTY) && !process.env.NO_COLOR
  const pretty = prettyFactory({ colorize, translateTime: 'UTC:yyyy-mm-dd HH:MM:ss.l', singleLine: true })
  // some of it was written by somebody else
  const harmless = (_name: string, value: unknown) =>
    typeof value === 'string' ? value.replace(/(?![\n\t])\p{Cc}/gu, picture) : value
  return { write: (line: string) => void destination.write(pretty(JSON.parse(line, harmless))) }
}

/**
 * Opens the database that the environment names, says on stderr which one that is, brings it up to date, and closes it
 * after `work`. It makes none: only the server and the demo do.
 */
export async function withDatabase<T>(
  work: (database: Database & { clock: Clock }) => Promise<T>,
): Promise<T> {
  const config = loadConfig(process.env)
  const log = await createLog({
    logLevel: process.env.FILMGATE_LOG_LEVEL ? config.logLevel : 'error',
    logFormat: config.logFormat,
  })
  const say = (line: string) => console.error(`filmgate: ${printable(line)}`)
  // only here: the customer's commands and every help start sooner without them
  const [
    { clockFault, createDatabaseClock },
    { openDatabase },
    { migrate },
    { nameDatabase, requireDataDir, requireTables },
  ] = await Promise.all([
    import('../clock.ts'),
    import('../database.ts'),
    import('../migrate.ts'),
    import('../installation.ts'),
  ])
  await requireDataDir(config, process.env)
  say(`using ${nameDatabase(config)}`)
  const step = createStep({ warn: ({ step }, message) => say(`${message}: ${step}`) })
  const database = await step('open the database', { seconds: 90, remedy: openRemedy }, () =>
    openDatabase(config, 'command', log),
  )
  const endWatch = database.sayLockWaits(say)
  try {
    await requireTables(database.pool, config)
    // what it waits for is said; how long it takes nobody knows
    await migrate(database.pool, log)
    const clock = createDatabaseClock(log)
    await clock.follow(database.pool)
    try {
      const fault = clockFault(clock)
      if (fault !== undefined) console.error(`${fault}; the database's counts`)
      return await work({ ...database, clock })
    } finally {
      await clock.stop()
    }
  } finally {
    await endWatch()
    await database.close()
  }
}

const openRemedy =
  'see whether DATABASE_URL or FILMGATE_DATA_DIR names the right database, and whether it answers'

/** A table with padded columns, whose rows are one line each. */
export function table(cells: string[][]): string[] {
  const rows = cells.map((row) => row.map((cell) => cell.replace(/\p{Cc}/gu, picture)))
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
