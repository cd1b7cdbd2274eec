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

/** Why PostgreSQL ended, by what it wrote to its log since `start`. */
export function complaintSince(path: string, start: number): string {
  return firstGraveLine(readFrom(path, start)) ?? 'it wrote nothing to its log'
}

/** The first line that names a grave error, without its time and pid: what follows are consequences. */
export function firstGraveLine(text: string): string | undefined {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !turnedAway.test(line))
  const grave = lines.find((line) => /(?:FATAL|PANIC|error): /.test(line)) ?? lines.at(-1)
  return grave
    ?.replace(/^.*?(?=FATAL|PANIC|error)/, '')
    .replace(/\s+/g, ' ')
    .trim()
}

/** What clients hear who come too early or stay too long: no reason for an end, but around at one. */
const turnedAway = /FATAL: +(?:the database system is|terminating connection)/

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
