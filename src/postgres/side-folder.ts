import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ageByFileTime } from '../file-time.ts'
import { codeOf } from './unavailable.ts'

/** Past this age the maker is gone, whatever process has its pid now. */
const abandonedAfterMs = 60 * 60_000

/** A folder name beside `target` for work that is renamed into place when it is whole. It names its maker's pid. */
export function uniqueSibling(target: string): string {
  return `${target}.new-${process.pid}-${randomBytes(4).toString('hex')}`
}

/** Removes the side folders of makers that died before their rename. */
export async function removeAbandoned(target: string): Promise<void> {
  const prefix = `${basename(target)}.new-`
  const names = await readdir(dirname(target)).catch(() => [])
  for (const name of names.filter((name) => name.startsWith(prefix))) {
    const path = join(dirname(target), name)
    const maker = Number(name.slice(prefix.length).split('-')[0])
    if (!isAlive(maker) || (await isOld(path))) {
      // An initdb that outlived its parent may still write here for a moment: the next start tries again.
      await rm(path, { recursive: true, force: true }).catch(() => {})
    }
  }
}

async function isOld(path: string): Promise<boolean> {
  const ageMs = await ageByFileTime(path, dirname(path)).catch(() => undefined)
  return ageMs !== undefined && ageMs > abandonedAfterMs
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === 'EPERM'
  }
}

/** Creates a folder that everybody may enter, whatever the umask. One that exists is left as it is. */
export async function makeOpenFolder(path: string): Promise<void> {
  if ((await mkdir(path, { recursive: true })) !== undefined) await chmod(path, 0o755)
}

/** Makes names created in or moved into the folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
