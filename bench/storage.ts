import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { Agent, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { createLocalStorage } from '../src/storage/local.ts'
import { createS3Storage } from '../src/storage/s3.ts'
import type { Storage } from '../src/storage/storage.ts'
import { printTable } from './table.ts'

const fileBytes = 1_073_741_824
const pieceBytes = 8_388_608
// One after the other, since the machine's own pace changes from minute to minute.
const rounds = 3

export interface StorageFigures {
  storage: string
  plainMegabytesPerSecond: number
  putMegabytesPerSecond: number
  ofPlain: number
  /** Over what the process had before the put. */
  peakMegabytes: number
}

/**
 * A file of 1 GB put into each storage, against a plain copy of the same file in the same run: a stream to a file on
 * the same disk, and plain PUTs of its parts to the same server.
 */
export async function benchStorage(): Promise<StorageFigures[]> {
  const folder = await mkdtemp(join(tmpdir(), 'filmgate-bench-storage-'))
  const store = await startStore()
  try {
    const file = join(folder, 'film')
    await writeFilm(file)
    const local = await createLocalStorage({ directory: join(folder, 'files') })
    const settings = {
      endpoint: store.url,
      region: 'us-east-1',
      bucket: 'bench',
      accessKeyId: 'k',
      secretAccessKey: 's',
    }
    await fetch(`${store.url}/bench`, { method: 'PUT', body: Buffer.alloc(0) })
    const s3 = await createS3Storage(settings, { temporaryDirectory: folder })
    const figures = [
      await compare('local disk', local, file, () => copyFile(file, join(folder, 'copy'))),
      await compare('S3', s3, file, () => sendPieces(file, `${store.url}/bench/film`)),
    ]
    s3.close()
    printFigures(figures)
    return figures
  } finally {
    store.child.kill('SIGTERM')
    await rm(folder, { recursive: true, force: true })
  }
}

function printFigures(figures: StorageFigures[]): void {
  console.log(`\nStorage: a file of 1 GB, medians of ${rounds} rounds`)
  printTable(
    ['storage', 'plain copy MB/s', 'put MB/s', 'of plain', 'peak growth MB'],
    figures.map((of) => [
      of.storage,
      Math.round(of.plainMegabytesPerSecond),
      Math.round(of.putMegabytesPerSecond),
      of.ofPlain,
      Math.round(of.peakMegabytes),
    ]),
  )
}

async function compare(
  name: string,
  storage: Storage,
  file: string,
  plain: () => Promise<void>,
): Promise<StorageFigures> {
  const put = () => storage.put('film', { file })
  const [plainRates, putRates, peaks]: number[][] = [[], [], []]
  // once each, unmeasured: what is compiled and opened at first is not what is asked about
  await plain()
  await put()
  for (let round = 0; round < rounds; round++) {
    plainRates!.push(await rateOf(plain))
    const before = process.memoryUsage.rss()
    let peak = before
    const timer = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage.rss())
    }, 10)
    putRates!.push(await rateOf(put))
    clearInterval(timer)
    peaks!.push((peak - before) / 1e6)
  }
  const ratios = putRates!.map((rate, round) => rate / plainRates![round]!)
  const [plainMegabytesPerSecond, putMegabytesPerSecond] = [median(plainRates!), median(putRates!)]
  return {
    storage: name,
    plainMegabytesPerSecond,
    putMegabytesPerSecond,
    ofPlain: median(ratios),
    peakMegabytes: Math.max(...peaks!),
  }
}

async function rateOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return fileBytes / 1000 / (performance.now() - started)
}

function median(numbers: number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!
}

async function writeFilm(path: string): Promise<void> {
  await using handle = await open(path, 'w')
  const piece = Buffer.alloc(pieceBytes)
  for (let written = 0; written < fileBytes; written += pieceBytes) {
    for (let offset = 0; offset < pieceBytes; offset += 8) piece.writeDoubleLE(written + offset, offset)
    await handle.write(piece)
  }
}

/** As put does, it ends when the bytes are on the disk. */
async function copyFile(from: string, to: string): Promise<void> {
  await pipeline(createReadStream(from), createWriteStream(to, { flush: true }))
}

/** What any client must do: the pieces as they are, two at a time, unsigned and unhashed. */
async function sendPieces(file: string, url: string): Promise<void> {
  const agent = new Agent({ keepAlive: true })
  const ask = (method: string, query: string, body?: Buffer | string) =>
    plainRequest(agent, method, url + query, body)
  const id = /<UploadId>([^<]+)/.exec((await ask('POST', '?uploads')).text)?.[1]
  const tags: (string | undefined)[] = []
  const pieces = piecesOf(file)
  let number = 0
  const send = async () => {
    for (let piece = await pieces.next(); !piece.done; piece = await pieces.next()) {
      const own = ++number
      tags[own] = (await ask('PUT', `?partNumber=${own}&uploadId=${id}`, piece.value)).etag
    }
  }
  await Promise.all([send(), send()])
  const parts = tags.map((tag, own) => `<Part><PartNumber>${own}</PartNumber><ETag>${tag}</ETag></Part>`)
  const list = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`
  await ask('POST', `?uploadId=${id}`, list)
  agent.destroy()
}

async function plainRequest(agent: Agent, method: string, url: string, body?: Buffer | string) {
  const headers = { 'content-type': 'application/octet-stream' }
  const sent = request(url, { method, agent, headers }).end(body)
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  const answered = await text(answer)
  if (answer.statusCode !== 200)
    throw new Error(`a plain ${method} answered ${answer.statusCode}: ${answered}`)
  return { text: answered, etag: answer.headers.etag }
}

async function* piecesOf(file: string): AsyncGenerator<Buffer> {
  for await (const piece of createReadStream(file, { highWaterMark: pieceBytes })) yield piece
}

async function startStore() {
  const child = spawn(process.execPath, [join(import.meta.dirname, 's3-server.ts')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const url = /http:\S+/.exec(line.toString())?.[0]
  if (url === undefined) throw new Error('the S3 server did not start')
  return { url, child }
}

if (import.meta.main) await benchStorage()
