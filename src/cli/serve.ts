import type { Command } from 'commander'
import { loadConfig } from '../config.ts'
import { misspeltSettings } from '../misspelt-settings.ts'
import { host, port, word } from './arguments.ts'
import { createLog } from './output.ts'
import { whenParentEnds } from './parent.ts'

// What is under way is taken up again after the next start, so draining need not wait for ever.
const drainLimitMs = 30_000
const echoMs = 300

export function addServeCommand(program: Command): void {
  program
    .command('serve')
    .description(
      'Run the server until it is stopped. SIGTERM drains and exits 0; a second one exits at once.',
    )
    .option('--port <port>', 'port to listen on; 0 takes a free one (PORT, 8787)', port)
    .option('--host <host>', 'address to listen on (HOST, 127.0.0.1)', host)
    .option('--role <role>', 'all, api (HTTP only) or worker (tasks only)', word)
    .action(async (flags: { port?: string; host?: string; role?: string }) => {
      const config = loadConfig(process.env, flags)
      const log = await createLog(config)
      for (const line of misspeltSettings(process.env)) log.warn(line)
      // only here: the other commands start in half the time without it
      const { serve } = await import('../serve.ts')
      const starting = serve(config, log, (error) => {
        log.fatal({ err: error }, 'the database is gone')
        process.exit(1)
      })
      let isStopping = false
      const onSignal = async (signal: string) => {
        if (isStopping) process.exit(1)
        isStopping = true
        log.info({ signal }, 'draining')
        setTimeout(() => process.exit(0), drainLimitMs).unref()
        // also one that is only starting may have taken requests already; one that can't start ends below
        await starting.then((server) => server.stop()).catch(() => {})
        process.exit(0)
      }
      // a terminal sends it to all of a group, and npm or the wrapper once more
      let interruptedAt = Number.NEGATIVE_INFINITY
      const onInterrupt = (signal: string) => {
        const isEcho = performance.now() - interruptedAt < echoMs
        interruptedAt = performance.now()
        if (!isEcho) void onSignal(signal)
      }
      process.on('SIGTERM', onSignal)
      process.on('SIGINT', onInterrupt)
      // the terminal is closed: PostgreSQL would be left behind
      process.on('SIGHUP', onInterrupt)
      whenParentEnds(() => {
        if (!isStopping) void onSignal('the end of the parent process')
      })
      const server = await starting
      if (!isStopping) console.log(`filmgate ready on ${placeOf(server)}`)
    })
}

function placeOf({ url, healthUrl }: { url: string | undefined; healthUrl: string | undefined }): string {
  if (url !== undefined) return url
  return `the queue, as a worker${healthUrl === undefined ? '' : `, health on ${healthUrl}`}`
}
