import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import type { EmbeddedPostgres } from './embedded.ts'
import { livePostmaster, stopPostmaster } from './postmaster.ts'
import type { Role } from './session.ts'

/** What a child process that opened the database says about it. */
export type Answer =
  | { opened: Pick<EmbeddedPostgres, 'connection' | 'firstStart'>; failed?: never }
  | { failed: string; message: string; opened?: never }

export const silent = { info() {}, warn() {} }

const endings = new WeakMap<TestContext, (() => unknown)[]>()

/** Undoes things after the test, the last one first: a database closes before its data dir goes. */
export function atEnd(t: TestContext, undo: () => unknown): void {
  const known = endings.get(t)
  if (known !== undefined) return void known.push(undo)
  const stack = [undo]
  endings.set(t, stack)
  t.after(async () => {
    for (const step of stack.reverse()) await step()
  })
}

/** A data dir that any user may enter, as an operator's is; ends its postmaster and removes it after the test. */
export async function makeDataDir(t: TestContext, name = ''): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'filmgate-'))
  await chmod(folder, 0o755)
  const dataDir = join(folder, name)
  atEnd(t, async () => {
    await stopPostmaster(join(dataDir, 'postgres', 'cluster'))
    await rm(folder, { recursive: true, force: true })
  })
  return dataDir
}

/** Opens the database in a process of its own, which the test may kill. */
export function openInChild(
  t: TestContext,
  dataDir: string,
  role: Role,
  user: { uid?: number; gid?: number } = {},
) {
  const child = fork(fileURLToPath(new URL('fixture-open.ts', import.meta.url)), [dataDir, role], {
    ...user,
    execArgv: [],
    cwd: '/',
  })
  atEnd(t, () => killHard(child))
  const answer: Promise<Answer> = once(child, 'message').then(([message]) => message as Answer)
  return { child, answer, close: () => closeChild(child) }
}

async function closeChild(child: ChildProcess): Promise<number | null> {
  const exited = once(child, 'exit')
  child.send('close')
  return (await exited)[0]
}

/** kill -9, and the process is gone when this returns. */
export async function killHard(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** The rows of one statement, over a connection of its own. */
export async function ask(connection: EmbeddedPostgres['connection'], sql: string): Promise<unknown[]> {
  const client = new Client(connection)
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

/** The pid of the data dir's running postmaster. */
export function postmasterOf(dataDir: string): Promise<number | undefined> {
  return livePostmaster(join(dataDir, 'postgres', 'cluster'))
}

/** Waits for something that another process does. */
export async function until(happened: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!(await happened())) {
    if (performance.now() > deadline) throw new Error('what the test waits for did not happen')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Whether a pid names a process that runs; one that ended but is not reaped yet does not. */
export async function runs(pid: number): Promise<boolean> {
  if (existsSync('/proc/self/cmdline')) {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== ''
  }
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
