import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { copyFile, stat, truncate } from 'node:fs/promises'

const logLimitBytes = 4 * 1024 * 1024

/**
 * Keeps PostgreSQL's log bounded: above the limit it becomes `postgres.log.1` and starts anew. The postmaster
 * appends through an open file, so the file is copied and emptied rather than renamed.
 */
export async function trimLog(path: string): Promise<void> {
  try {
    if ((await stat(path)).size < logLimitBytes) return
    await copyFile(path, `${path}.1`)
    await truncate(path)
  } catch {
    // No log yet, or a full disk: the database's own start says what matters.
  }
}

/** The last grave line that PostgreSQL wrote since `start`, without its time and pid. */
export function complaintSince(path: string, start: number): string {
  const lines = readFrom(path, start).split('\n').filter(Boolean)
  const grave = lines.findLast((line) => /(?:FATAL|PANIC): /.test(line)) ?? lines.at(-1)
  return grave?.replace(/^.*?(?=FATAL|PANIC)/, '').trim() ?? 'it wrote nothing to its log'
}

function readFrom(path: string, start: number): string {
  const file = openSync(path, 'r')
  try {
    const from = Math.max(start, fstatSync(file).size - 16_384)
    const buffer = Buffer.alloc(16_384)
    return buffer.toString('utf8', 0, readSync(file, buffer, 0, buffer.length, from))
  } finally {
    closeSync(file)
  }
}
