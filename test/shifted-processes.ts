import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { atEnd } from './at-end.ts'

const root = join(import.meta.dirname, '..')
const hourMs = 3_600_000

/** By what the clock of a process is moved. */
export type Shifter = 'preload' | 'libfaketime'

/** Where Debian's package faketime puts it. */
const library = ['x86_64-linux-gnu', 'aarch64-linux-gnu']
  .map((machine) => `/usr/lib/${machine}/faketime/libfaketime.so.1`)
  .find(existsSync)

export const hasLibfaketime = library !== undefined

/** Starts a script of ours on a machine whose clock is off by so many hours. */
export function startShifted(
  script: string[],
  options: { hours: number; shifter?: Shifter; env: Record<string, string> },
) {
  const { hours, shifter = 'preload', env } = options
  const isPreload = shifter === 'preload'
  const child = spawn(
    process.execPath,
    [...(isPreload ? ['--import', join(import.meta.dirname, 'shifted-clock.ts')] : []), ...script],
    {
      cwd: root,
      env: {
        PATH: process.env.PATH!,
        ...(isPreload
          ? { CLOCK_SHIFT_MS: String(hours * hourMs) }
          : {
              LD_PRELOAD: library!,
              FAKETIME: `${hours < 0 ? '' : '+'}${hours}h`,
              FAKETIME_DONT_FAKE_MONOTONIC: '1',
            }),
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  atEnd(() => child.kill('SIGKILL'))
  let said = ''
  child.stderr.on('data', (data) => {
    said += data
  })
  return { child, said: () => said }
}

/** A server as an operator starts it; answers once it is ready, with its address if it has one. */
export async function startShiftedServer(
  role: 'api' | 'worker',
  options: Parameters<typeof startShifted>[1],
): Promise<{ url: string; said(): string; stop(): Promise<void> }> {
  const script = ['src/main.ts', 'serve', '--port', '0', '--role', role]
  const { child, said } = startShifted(script, options)
  const exited = once(child, 'exit')
  const stop = async () => {
    child.kill('SIGKILL')
    await exited
  }
  for await (const line of createInterface(child.stdout)) {
    const ready = /^filmgate (?:ready on (\S+)|.*ready)/.exec(line)
    if (ready !== null) return { url: ready[1] ?? '', said, stop }
  }
  throw new Error(`the ${role} did not start: ${said()}`)
}
