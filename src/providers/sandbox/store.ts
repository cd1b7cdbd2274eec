import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { JobFailureCode } from '../../errors.ts'
import type { Storage } from '../../storage/storage.ts'
import type { Magic } from './magic.ts'
import type { RenderRequest } from './request.ts'

/** What a job is. It is also the opaque operation, so that a poll need not look it up. */
export interface SandboxJob {
  jobId: string
  submittedAt: string
  magic: Magic
  request: RenderRequest
}

export interface Failure {
  code: JobFailureCode
  message: string
  /** For whoever looks into the storage; never sent. */
  cause?: string
}

/** Which process renders a job, how many have tried, and how it ended. */
export interface JobState {
  process: string
  attempt: number
  end: null | { status: 'succeeded' } | { status: 'failed'; failure: Failure }
}

/** A process's sign of life, for all the jobs that it renders. One that has closed will render none of them. */
export interface Heartbeat {
  at: string
  isClosed: boolean
}

const root = 'sandbox/'
const leftoverMs = 24 * 60 * 60 * 1000

/** The keys of one job in the storage that all processes share. */
export function jobKeys(jobId: string) {
  if (!/^[a-z0-9_-]{1,128}$/.test(jobId)) {
    throw new Error(`not a job id: ${jobId}`)
  }
  const at = (name: string): string => `${root}${jobId}/${name}`
  return {
    request: at('request.json'),
    state: at('state.json'),
    source: (index: number): string => at(sourceName(index)),
    sources: ({ sources }: RenderRequest): string[] => sources.map((_, index) => at(sourceName(index))),
    outputs: (request: RenderRequest): string[] => outputNames(request).map(at),
    /** Where nothing ever is. */
    missing: at('missing'),
  }
}

export function heartbeatKey(process: string): string {
  return `${root}process-${process}/heartbeat.json`
}

/** A customer's file, in the storage as well as in the folder of a render. */
export function sourceName(index: number): string {
  return `source-${index}`
}

/** What a render makes, likewise. */
export function outputNames(request: RenderRequest): string[] {
  return request.type === 'video'
    ? ['output.mp4']
    : Array.from({ length: request.count }, (_, index) => `output-${index}.jpg`)
}

/** The content of a JSON object, or null where there is none. */
export async function readJson<Value>(storage: Storage, key: string): Promise<Value | null> {
  const object = await storage.open(key)
  return object === undefined ? null : (JSON.parse(await text(object.stream)) as Value)
}

export async function writeJson(storage: Storage, key: string, value: unknown): Promise<void> {
  await storage.put(key, Readable.from([Buffer.from(JSON.stringify(value))]))
}

/** Removes all that is kept of a job: first what makes it exist, so that nobody takes it up again meanwhile. */
export async function removeJob(storage: Storage, { jobId, request }: SandboxJob): Promise<void> {
  const keys = jobKeys(jobId)
  await storage.remove(keys.request)
  const others = [keys.state, ...keys.sources(request), ...keys.outputs(request)]
  await Promise.all(others.map((key) => storage.remove(key)))
}

/** The time by the clock that the storage tells `modifiedAt` by: that of a file server or store need not be ours. */
async function storageTime(storage: Storage): Promise<Date> {
  const key = `${root}time-${randomUUID()}/probe`
  await storage.put(key, Readable.from([Buffer.from('time')]))
  try {
    return (await storage.stat(key))!.modifiedAt
  } finally {
    await storage.remove(key)
  }
}

/** Removes what nobody came back for in 24 hours: jobs that were not forgotten, heartbeats of processes that are gone. */
export async function sweepLeftovers(storage: Storage, givenNow?: Date): Promise<void> {
  const folders = new Map<string, string[]>()
  for await (const key of storage.list(root)) {
    const folder = key.slice(0, key.indexOf('/', root.length))
    folders.set(folder, [...(folders.get(folder) ?? []), key])
  }
  if (folders.size === 0) return
  const now = givenNow ?? (await storageTime(storage))
  for (const keys of folders.values()) {
    // All of a job is far younger than a day while it is under way: one of its objects tells for the others.
    const found = await storage.stat(keys[0]!)
    if (found !== undefined && now.getTime() - found.modifiedAt.getTime() > leftoverMs) {
      for (const key of keys) await storage.remove(key)
    }
  }
}
