import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { limitedTo } from '../src/limited-to.ts'
import { atEnd } from './at-end.ts'
import { cloneDatabase } from './database.ts'

const root = join(import.meta.dirname, '..')
/** What the commands of the calling file work on. */
export const database = await cloneDatabase()
export const dataDir = await mkdtemp(join(tmpdir(), 'filmgate-command-'))
atEnd(() => rm(dataDir, { recursive: true, force: true }))

interface Outcome {
  code: number
  stdout: string
  /** What a command says first: which database it uses. */
  using: string
  stderr: string
}

/** Starts a program with no setting but these. */
export function start(
  file: string,
  args: string[],
  environment: Record<string, string> = {},
): Promise<Outcome> {
  const env = {
    PATH: process.env.PATH,
    DATABASE_URL: database.url,
    FILMGATE_DATA_DIR: dataDir,
    ...environment,
  }
  return new Promise((resolve) => {
    execFile(file, args, { cwd: root, env, timeout: 60_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ code, stdout, ...parted(stderr) })
    })
  })
}

function parted(stderr: string): { using: string; stderr: string } {
  const [using = ''] = /^filmgate: using the .*\n/m.exec(stderr) ?? []
  return { using, stderr: stderr.replace(using, '') }
}

// Each start takes the better part of a second of one core.
const inTurn = limitedTo(2)

/** Runs one command, its words with spaces between them. */
export function filmgate(args: string, environment?: Record<string, string>): Promise<Outcome> {
  return inTurn(() => start(process.execPath, ['src/main.ts', ...args.split(' ')], environment))
}

/** The one JSON document that a command printed. */
export async function json(args: string) {
  const { code, stdout, stderr } = await filmgate(`${args} --json`)
  assert.equal(code, 0, stderr)
  assert.equal(stderr, '')
  assert.equal(stdout.trimEnd().split('\n').length, 1, stdout)
  return JSON.parse(stdout)
}

/** A command that is refused, without a stack trace. */
export async function fails(
  args: string,
  code: number,
  message: RegExp,
  environment?: Record<string, string>,
) {
  const outcome = await filmgate(args, environment)
  assert.equal(outcome.code, code, `${args}: ${outcome.stderr}`)
  assert.equal(outcome.stdout, '')
  assert.match(outcome.stderr, message)
  assert.doesNotMatch(outcome.stderr, /^ {4}at /m, 'a stack trace is shown')
  if (code === 1) assert.match(outcome.stderr, /^filmgate: .*\n$/, 'it is not one line')
}
