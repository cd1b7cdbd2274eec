import { checkInputHere } from './check.ts'
import { cleanFilmHere } from './clean-film.ts'
import { cleanPictureHere } from './clean-picture.ts'
import type { InputKind, MediaType } from './image.ts'
import { inspectHere } from './inspect.ts'

interface Task {
  path: string
  maxPixels: number
}

/** Whether a customer's file can be used whole. */
export function checkInput({ path, maxPixels, kinds }: Task & { kinds: InputKind[] }) {
  return checkInputHere(path, kinds, maxPixels)
}

export function inspect({ path, maxPixels }: Task) {
  return inspectHere(path, maxPixels)
}

interface Cleaning extends Task {
  target: string
  types: readonly string[]
}

/** Makes of a picture what an upstream may have. */
export function cleanPicture({ path, ...options }: Cleaning) {
  return cleanPictureHere(path, options)
}

/** The same of a film or a sound. */
export function cleanFilm({ path, ...options }: Cleaning & { found: MediaType }) {
  return cleanFilmHere(path, options)
}
