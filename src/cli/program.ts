import { Command, CommanderError } from 'commander'
import packageFile from '../../package.json' with { type: 'json' }
import { ConfigError } from '../config.ts'
import { misspeltSettings } from '../misspelt-settings.ts'
import { PostgresUnavailable } from '../postgres/unavailable.ts'
import { StartTimeout } from '../start-step.ts'
import type { Parser } from './arguments.ts'
import { addDoctorCommand } from './doctor.ts'
import { addEstimateCommand } from './estimate.ts'
import { addJobCommands } from './job.ts'
import { addKeyCommands } from './key.ts'
import { addLedgerCommands } from './ledger.ts'
import { addMarginCommand } from './margin.ts'
import { addModelCommands } from './model.ts'
import { addModelsCommand } from './models.ts'
import { CommandFailed, printable } from './output.ts'
import { addPriceCommands } from './price.ts'
import { addRequestCommands } from './request.ts'
import { addRouteCommand } from './route.ts'
import { addSegmentCommands } from './segment.ts'
import { addServeCommand } from './serve.ts'
import { addStorageCommands } from './storage.ts'
import { addSubmitCommand } from './submit.ts'
import { addUpstreamCommands } from './upstream.ts'
import { addUserCommands } from './user.ts'
import { addUserMoneyCommands } from './user-money.ts'
import { addWebhookCommands } from './webhook.ts'

/** Every command, with its arguments and options. */
export function createProgram(): Command {
  const program = new Command('filmgate')
    .description('One HTTP API in front of every generative video and image model.')
    .version(packageFile.version)
    // a command's own --version is not the program's
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows how)')
    .exitOverride()
  addModelsCommand(program)
  addEstimateCommand(program)
  addSubmitCommand(program)
  addServeCommand(program)
  addUserMoneyCommands(addUserCommands(program))
  addKeyCommands(program)
  addSegmentCommands(program)
  addModelCommands(program)
  addPriceCommands(program)
  addLedgerCommands(program)
  addJobCommands(program)
  addRequestCommands(program)
  addWebhookCommands(program)
  addStorageCommands(program)
  addUpstreamCommands(program)
  addRouteCommand(program)
  addMarginCommand(program)
  addDoctorCommand(program)
  for (const command of commandsOf(program)) {
    command.exitOverride()
    refuseRepeats(command)
  }
  return program
}

/** All commands below one, at any depth. */
export function commandsOf(command: Command): Command[] {
  return command.commands.flatMap((inner) => [inner, ...commandsOf(inner)])
}

// commander takes the last of two values, which may not be the one that was meant
function refuseRepeats(command: Command): void {
  for (const option of command.options) {
    const { repeats } = (option.parseArg ?? {}) as Partial<Parser<unknown>>
    if (!(option.required || option.optional) || repeats) continue
    let times = 0
    command.on(`option:${option.name()}`, () => {
      if (++times > 1) command.error(`error: option '${option.flags}' is given twice: give it once`)
    })
  }
}

/** Runs one command line; sets the exit code: 0 done, 1 failed, 2 not understood. */
export async function runCommandLine(args: string[]): Promise<void> {
  const program = createProgram()
  program.hook('preAction', sayMisspeltSettings)
  process.stdout.on('error', sayNotWritten)
  // a log that can't be written, as to a closed terminal, ends nothing
  process.stderr.on('error', () => {})
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    process.exitCode = report(error)
    // what it waits for would keep the process
    if (error instanceof StartTimeout) process.exit()
  }
}

// Whoever reads only the first lines of a long answer has what they want.
function sayNotWritten({ code, message }: NodeJS.ErrnoException): void {
  if (code === 'EPIPE') return
  console.error(`filmgate: the answer could not be written: ${message}`)
  process.exitCode = 1
}

// the server has a log for it
function sayMisspeltSettings(_program: Command, command: Command): void {
  if (command.name() === 'serve') return
  for (const line of misspeltSettings(process.env)) console.error(`filmgate: ${printable(line)}`)
}

function report(error: unknown): number {
  // commander has printed its own
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  const isExpected = [ConfigError, CommandFailed, PostgresUnavailable, StartTimeout].some(
    (expected) => error instanceof expected,
  )
  const text = isExpected ? (error as Error).message : (settingAtFault(error) ?? describe(error))
  console.error(`filmgate: ${printable(text)}`)
  return 1
}

// Which setting is wrong, by what of the system failed. Of a name with several addresses each has its own error.
function settingAtFault(error: unknown): string | undefined {
  const cause = error instanceof AggregateError ? error.errors[0] : error
  const { code, syscall, message, port } = cause as NodeJS.ErrnoException & { port?: number }
  if (code === 'EADDRINUSE')
    return `PORT ${port ?? ''} is taken by another program: stop it, or give another --port`
  if (syscall === 'listen')
    return `HOST or PORT: ${message}: give an address of this machine and a port that may be opened`
  if (syscall === 'mkdir') return `FILMGATE_DATA_DIR: ${message}: give a folder that can be written`
  if (syscall === 'getaddrinfo') return `DATABASE_URL: ${message}: give a host name that is known`
  // SQLSTATE 28: who you say you are is not believed; 3D: there is no such database
  if (syscall === 'connect' || /^(28|3D)[0-9A-Z]{3}$/.test(code ?? ''))
    return `DATABASE_URL: ${message}: give the URL of a running PostgreSQL, or leave it unset for the embedded one`
  return undefined
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return process.env.FILMGATE_LOG_LEVEL === 'debug' ? (error.stack ?? error.message) : error.message
}
