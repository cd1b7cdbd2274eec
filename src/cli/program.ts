import { Command, CommanderError } from 'commander'
import packageFile from '../../package.json' with { type: 'json' }
import { ConfigError } from '../config.ts'
import { PostgresUnavailable } from '../postgres/unavailable.ts'
import { addJobCommands } from './job.ts'
import { addKeyCommands } from './key.ts'
import { addLedgerCommands } from './ledger.ts'
import { CommandFailed } from './output.ts'
import { addServeCommand } from './serve.ts'
import { addUserCommands } from './user.ts'

/** Runs one command line; sets the exit code: 0 done, 1 failed, 2 not understood. */
export async function runCommandLine(args: string[]): Promise<void> {
  const program = new Command('filmgate')
    .description('One HTTP API in front of every generative video and image model.')
    .version(packageFile.version)
    .showHelpAfterError('(--help shows how)')
    .exitOverride()
  addServeCommand(program)
  addUserCommands(program)
  addKeyCommands(program)
  addLedgerCommands(program)
  addJobCommands(program)
  for (const command of program.commands) {
    command.exitOverride()
    for (const inner of command.commands) inner.exitOverride()
  }
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    process.exitCode = report(error)
  }
}

function report(error: unknown): number {
  // commander has printed its own
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  const isExpected =
    error instanceof ConfigError || error instanceof CommandFailed || error instanceof PostgresUnavailable
  const code = (error as NodeJS.ErrnoException).code
  const hint =
    code === 'EADDRINUSE' ? 'PORT is taken by another program: stop it, or give another --port' : undefined
  console.error(`filmgate: ${hint ?? (isExpected ? error.message : describe(error))}`)
  return 1
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return process.env.FILMGATE_LOG_LEVEL === 'debug' ? (error.stack ?? error.message) : error.message
}
