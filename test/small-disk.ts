import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, rmdir, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { atEnd } from './at-end.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')

export interface SmallDisk {
  path: string
  /** Fills it until so much is left. */
  fill(leftBytes: number): Promise<void>
  /** Takes away what filled it. */
  empty(): Promise<void>
  freeBytes(): Promise<number>
}

/** A disk of its own, in memory; skips the test, visibly, where this user may not mount one. */
export async function mountSmallDisk(t: TestContext, megabytes: number): Promise<SmallDisk | undefined> {
  const path = await mkdtemp(join(tmpdir(), 'filmgate-disk-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'filmgate-test', path])
  } catch {
    await rmdir(path)
    t.skip('this user may not mount a small disk')
    return undefined
  }
  atEnd(async () => {
    // lazily: what a killed server leaves may hold it for a moment
    await run('umount', ['-l', path])
    await rm(path, { recursive: true, force: true })
  })
  const ballast = join(path, 'ballast')
  const freeBytes = async () => {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  }
  const empty = () => rm(ballast, { force: true })
  return {
    path,
    freeBytes,
    empty,
    async fill(leftBytes) {
      await empty()
      const bytes = Math.max(0, (await freeBytes()) - leftBytes)
      // others may write meanwhile
      await writeFile(ballast, Buffer.alloc(bytes)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOSPC') throw error
      })
    },
  }
}

export interface LoggedServer {
  url: string
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what they expect of it
  log: any[]
  stop(): Promise<number | null>
}

/** The server as users start it, with what it logs. */
export async function startLogged(settings: Record<string, string>): Promise<LoggedServer> {
  const child = spawn(process.execPath, ['src/main.ts', 'serve', '--port', '0'], {
    cwd: root,
    env: { PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  atEnd(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const log: LoggedServer['log'] = []
  createInterface({ input: child.stderr }).on('line', (line) => {
    log.push(line.startsWith('{') ? JSON.parse(line) : { msg: line })
    if (process.env.FILMGATE_TEST_LOG) process.stderr.write(`${line}\n`)
  })
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /^filmgate ready on (http:\S+)$/.exec(line)?.[1]
    if (url === undefined) continue
    const stop = async () => {
      child.kill('SIGTERM')
      return (await exited)[0]
    }
    return { url, log, stop }
  }
  throw new Error(`the server did not start: ${log.map(({ msg }) => msg).join('\n')}`)
}
