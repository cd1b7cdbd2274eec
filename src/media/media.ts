import { access } from 'node:fs/promises'
import { Piscina } from 'piscina'
import { limitedTo } from '../limited-to.ts'
import type { InputCheck } from './check.ts'
import type { Cleaned } from './clean-picture.ts'
import { type FilmSize, mostEncodingMs } from './films/limits.ts'
import { defaultMaxPixels, type InputKind } from './image.ts'
import type { Inspection } from './inspect.ts'

export type { Inspection } from './inspect.ts'

export interface Media {
  /** Whether a customer's file is of one of these kinds and can be used whole. */
  checkInput(path: string, kinds: InputKind[]): Promise<InputCheck>
  /** What a finished output is, with its poster and thumbnail. */
  inspect(path: string): Promise<Inspection>
  /** Makes of a picture what an upstream may have, at `target`: of one of these types, and nothing but the picture. */
  cleanPicture(
    path: string,
    target: string,
    types: readonly string[],
  ): Promise<Cleaned<{ width: number; height: number }>>
  /** The same of a film or a sound, which was found to be of a type. The size is told of a film that was encoded anew. */
  cleanFilm(
    file: { path: string; contentType: string },
    target: string,
    types: readonly string[],
  ): Promise<Cleaned<Partial<FilmSize>>>
  close(): Promise<void>
}

/** What ends a film that is encoded anew beyond the limit that the encoding keeps itself to. */
const filmTimeLimitMs = mostEncodingMs + 60_000

/**
 * Everything that decodes, off the event loop. A task that exceeds its time has its thread ended, as a decoder
 * caught in a bad file can't be told to stop; the next task gets a new thread. Films that are made anew have a thread of their
 * own: one may take minutes, for which no other file is to wait.
 */
export function createMedia(options: { maxPixels?: number; taskTimeLimitMs?: number } = {}): Media {
  const { maxPixels = defaultMaxPixels, taskTimeLimitMs = 60_000 } = options
  const files = threadFor(maxPixels, taskTimeLimitMs)
  const films = threadFor(maxPixels, options.taskTimeLimitMs ?? filmTimeLimitMs)
  return {
    checkInput: (path, kinds) => files.run<InputCheck>('checkInput', path, { kinds }),
    inspect: (path) => files.run<Inspection>('inspect', path),
    cleanPicture: (path, target, types) => files.run('cleanPicture', path, { target, types }),
    cleanFilm: async ({ path, contentType: found }, target, types) => {
      const task = { target, types, found }
      // what is only copied does not wait behind films that take minutes
      const quick = await files.run<Cleaned<object>>('cleanFilm', path, { ...task, mayEncode: false })
      return !quick.ok && 'takesLong' in quick ? films.run('cleanFilm', path, task) : quick
    },
    close: async () => {
      await Promise.all([files.close(), films.close()])
    },
  }
}

function threadFor(maxPixels: number, taskTimeLimitMs: number) {
  const pool = new Piscina({
    filename: new URL('./worker.ts', import.meta.url).href,
    minThreads: 0,
    maxThreads: 1,
    idleTimeout: 60_000,
    // Waiting in Atomics would hold up what native decoders hand back to the thread between tasks.
    atomics: 'disabled',
  })
  // The pool replaces a thread that dies between tasks; without a listener the process would die with it.
  pool.on('error', () => {})
  // Our own queue before the pool's, so that a task's time starts with the task and not with its waiting.
  const queue = limitedTo(1)
  const run = <T extends InputCheck | Inspection | Cleaned<object>>(name: string, path: string, more = {}) =>
    queue(async (): Promise<T | { ok: false; message: string }> => {
      // An error loses its code on the way out of a thread, so that a file which is not there is met here.
      await access(path)
      // A thread that fails while it loads is only told of here: the pool never settles the task it was meant for.
      const failure = new AbortController()
      const fail = (error: unknown) => failure.abort(error)
      pool.on('error', fail)
      const limit = AbortSignal.timeout(taskTimeLimitMs)
      try {
        return await pool.run(
          { path, maxPixels, ...more },
          { name, signal: AbortSignal.any([limit, failure.signal]) },
        )
      } catch (error) {
        if (failure.signal.aborted) throw failure.signal.reason
        if (!limit.aborted) throw error
        return { ok: false, message: 'The file could not be decoded in time.' }
      } finally {
        pool.off('error', fail)
      }
    })
  return { run, close: () => pool.destroy() }
}
