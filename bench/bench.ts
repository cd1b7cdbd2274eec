import { benchInFlight } from './in-flight.ts'
import { benchPolling } from './polling.ts'
import { benchReads } from './reads.ts'
import { benchBesideRendering } from './rendering.ts'
import { benchSandbox } from './sandbox.ts'
import { benchStorage } from './storage.ts'
import { benchSubmit } from './submit.ts'
import { printTable } from './table.ts'
import { benchWebhooks } from './webhooks.ts'

await benchSubmit()
await benchReads()
await benchBesideRendering()
await benchStorage()
await benchWebhooks()
benchPolling()
await benchInFlight()

const films = await benchSandbox()
console.log('\nSandbox: seconds of 720p film with sound, drawn, encoded and muxed')
printTable(
  ['film', 'length s', 'per second of one core', 'per second of wall'],
  films.map((film) => [film.kind, film.filmSeconds, film.perCoreSecond, film.perWallSecond]),
)
