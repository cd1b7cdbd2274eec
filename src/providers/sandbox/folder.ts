import { copyFile, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { JobFailureCode } from '../../errors.ts'
import type { Magic } from './magic.ts'
import type { RenderRequest } from './request.ts'

/** What the sandbox keeps of one job. It is also the opaque operation, so that a lost folder can be made again. */
export interface SandboxJob {
  jobId: string
  submittedAt: string
  magic: Magic
  request: RenderRequest
}

/** Who is rendering, when it last said so, and how many processes have tried. */
export interface Heartbeat {
  process: string
  at: string
  attempt: number
}

export interface Failure {
  code: JobFailureCode
  message: string
  /** For whoever looks into the folder; never sent. */
  cause?: string
}

const staleFolderMs = 24 * 60 * 60 * 1000

/** The files of one job on the sandbox's own disk. */
export function jobFolder(directory: string, jobId: string) {
  if (!/^[\w-]{1,128}$/.test(jobId)) {
    throw new Error(`not a job id: ${jobId}`)
  }
  const path = join(directory, jobId)
  const at = (name: string): string => join(path, name)
  return {
    path,
    request: at('request.json'),
    source: (index: number): string => at(`source-${index}`),
    heartbeat: at('heartbeat.json'),
    failure: at('failure.json'),
    /** In the order in which they are put in their places: with the last one all are there. */
    outputs: (request: RenderRequest): string[] =>
      request.type === 'video'
        ? [at('output.mp4')]
        : Array.from({ length: request.count }, (_, index) => at(`output-${index}.jpg`)),
    /** Each process writes its own, so that two that render the same job never share a file. */
    unfinished: (process: string): string => at(`output.${process}.part`),
  }
}

export type JobFolder = ReturnType<typeof jobFolder>

/** Writes a whole file or none, on disk when it returns. */
export async function writeDurably(folder: string, file: string, value: unknown): Promise<void> {
  const part = `${file}.part`
  const handle = await open(part, 'w')
  try {
    await handle.writeFile(JSON.stringify(value))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(part, file)
  await syncPath(folder)
}

/** Copies a customer's file into the folder, on disk when it returns. */
export async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to)
  await syncPath(to)
}

/** Puts a finished file in its place: synced first, so that its name never stands for half a film. */
export async function publish(part: string, file: string, folder: string): Promise<void> {
  await syncPath(part)
  await rename(part, file)
  await syncPath(folder)
}

export async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true })
}

/** The content of a JSON file, or null where there is none. A file cut short by a crash counts as none. */
export async function readJson<Value>(file: string): Promise<Value | null> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as Value
  } catch (error) {
    if (error instanceof SyntaxError || isMissing(error)) {
      return null
    }
    throw error
  }
}

/** Replaces a file in one step, without waiting for the disk: for a heartbeat, which a crash may lose. */
export async function replaceFile(file: string, value: unknown): Promise<void> {
  const handle = await open(`${file}.part`, 'w')
  try {
    await handle.writeFile(JSON.stringify(value))
  } finally {
    await handle.close()
  }
  await rename(`${file}.part`, file)
}

export async function exists(file: string): Promise<boolean> {
  try {
    await stat(file)
    return true
  } catch (error) {
    if (isMissing(error)) {
      return false
    }
    throw error
  }
}

export async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true })
}

/** Deletes the folders of jobs that nobody asked for in 24 hours. */
export async function sweepFolders(directory: string, now: Date): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory() && now.getTime() - (await stat(path)).mtimeMs > staleFolderMs) {
      await removeFolder(path)
    }
  }
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
