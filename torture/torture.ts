import { Command, InvalidArgumentError, Option } from 'commander'
import { report } from './report.ts'
import { type Options, torture } from './run.ts'
import type { UpstreamName } from './truth.ts'

const program = new Command('torture')
  .description(
    'Runs servers under load on one PostgreSQL and against protocol servers of upstreams, does to them what can happen, and checks that nothing was lost or charged twice. Prints a report; exits 1 on any violation.',
  )
  .option('--seed <number>', 'repeats the scripts of a run', whole, Date.now() % 1_000_000)
  .option('--minutes <number>', 'for how long things go wrong', whole, 10)
  .option('--kills <number>', 'kill -9 of a server', whole, 100)
  .option('--processes <number>', 'servers at once', whole, 2)
  .option('--rate <number>', 'orders a second', whole, 6)
  .addOption(
    new Option('--upstream <names>', 'those that are set up')
      .choices(['kling', 'kling,fal'])
      .default('kling,fal'),
  )
  .parse()
const { seed, minutes, kills, processes, rate, upstream } = program.opts<{
  seed: number
  minutes: number
  kills: number
  processes: number
  rate: number
  upstream: string
}>()

function whole(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('Give a whole number above 0.')
}

for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130))
const began = performance.now()
const options: Options = {
  seed,
  temper: 'wild',
  upstreams: upstream.split(',') as UpstreamName[],
  processes,
  rate,
  gentleSeconds: 40,
  gentleStops: 8,
  roughSeconds: minutes * 60,
  misfortunes: {
    kills,
    drains: 5,
    postgresRestarts: 5,
    postgresAwayMs: 60_000,
    storageFullMs: 20_000,
    creditGoneMs: 45_000,
    pauses: 2,
    clockStepMs: 300_000,
  },
  faultPoints: 0.3,
  // the receivers that never take anything are given up after six minutes
  quietSeconds: 900,
  // callbacks are sent again for a minute
  hourAfterMs: 120_000,
  say: (text) =>
    console.error(`${String(Math.round((performance.now() - began) / 1000)).padStart(5)} s  ${text}`),
}
console.error(`seed ${seed}: repeat with npm run torture -- --seed ${seed}`)
const outcome = await torture(options)
console.log(report(options, outcome))
process.exitCode = outcome.violations.length > 0 ? 1 : 0
