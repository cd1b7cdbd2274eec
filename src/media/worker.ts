import { checkInputHere } from './check.ts'
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
