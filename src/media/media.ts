import { access } from 'node:fs/promises'
import { Piscina } from 'piscina'
import { limitedTo } from '../limited-to.ts'
import type { InputCheck } from './check.ts'
import type { Conversion, PictureType } from './convert.ts'
import { defaultMaxPixels, type InputKind } from './image.ts'
import type { Inspection } from './inspect.ts'

export type { Inspection } from './inspect.ts'

export interface Media {
  /** Whether a customer's file is of one of these kinds and can be used whole. */
  checkInput(path: string, kinds: InputKind[]): Promise<InputCheck>
  /** What a finished output is, with its poster and thumbnail. */
  inspect(path: string): Promise<Inspection>
  /** Makes a picture of one of these types, at `target`. */
  convert(path: string, target: string, types: PictureType[]): Promise<Conversion>
  close(): Promise<void>
}

/**
 * Everything that decodes, off the event loop. A task that exceeds its time has its thread ended, as a decoder
 * caught in a bad file can't be told to stop; the next task gets a new thread.
 */
export function createMedia(options: { maxPixels?: number; taskTimeLimitMs?: number } = {}): Media {
  const { maxPixels = defaultMaxPixels, taskTimeLimitMs = 60_000 } = options
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
  const run = <T extends InputCheck | Inspection | Conversion>(name: string, path: string, more = {}) =>
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
  return {
    checkInput: (path, kinds) => run<InputCheck>('checkInput', path, { kinds }),
    inspect: (path) => run<Inspection>('inspect', path),
    convert: (path, target, types) => run<Conversion>('convert', path, { target, types }),
    close: () => pool.destroy(),
  }
}
