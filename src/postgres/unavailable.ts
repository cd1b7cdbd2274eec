/** The embedded database cannot serve. The message is one line for the operator and ends with the remedy. */
export class PostgresUnavailable extends Error {
  override name = 'PostgresUnavailable'
}

/** Another filmgate server owns the data dir. Its database was left alone. */
export class DataDirBusy extends PostgresUnavailable {
  override name = 'DataDirBusy'

  constructor(dataDir: string, pid: number | undefined) {
    const owner = pid === undefined ? 'another filmgate server' : `another filmgate server (pid ${pid})`
    super(`${owner} is using the data dir ${dataDir}: stop it, or set FILMGATE_DATA_DIR to another folder`)
  }
}

/** The errno or SQLSTATE of a thrown value, for decisions that must not read message text. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}

/** Turns a failed file operation into the operator's line: what was tried, why it failed, what to do. */
export function fileTrouble(what: string, error: unknown): PostgresUnavailable {
  if (error instanceof PostgresUnavailable) return error
  const why = codeOf(error) === 'ENOSPC' ? 'the disk is full' : oneLine(error)
  return new PostgresUnavailable(
    `${what}: ${why}; set FILMGATE_DATA_DIR to a local folder with space that this user may write, ` +
      'or DATABASE_URL to your own PostgreSQL',
    { cause: error },
  )
}

/** The message of a thrown value on a single line. */
export function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').trim()
}
