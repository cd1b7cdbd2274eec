import { checkInputHere } from './check.ts'
import { convertHere, type PictureType } from './convert.ts'
import type { InputKind } from './image.ts'
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

/** Makes a picture of another type. */
export function convert({ path, ...options }: Task & { target: string; types: PictureType[] }) {
  return convertHere(path, options)
}
