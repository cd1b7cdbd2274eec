import { randomUUID } from 'node:crypto'
import { rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** How old a file is by the clock that gives it its time of change: neither this process's nor the database's need be that one. */
export async function ageByFileTime(path: string, folder: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined)
  if (found === undefined) return undefined
  return (await fileTimeMs(folder)) - found.mtimeMs
}

/** The present time by the clock of the folder's file system, in ms. */
export async function fileTimeMs(folder: string): Promise<number> {
  const probe = join(folder, `.time-${randomUUID()}`)
  try {
    await writeFile(probe, '', { flag: 'wx' })
    return (await stat(probe)).mtimeMs
  } finally {
    await rm(probe, { force: true })
  }
}
