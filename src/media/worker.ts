import { readFile } from 'node:fs/promises'
import { decodeImage } from './draw.ts'
import { type ImageCheck, readImage } from './image.ts'
import { inspectHere } from './inspect.ts'

interface Task {
  path: string
  maxPixels: number
}

/** Whether a customer's picture can be shown whole. */
export async function checkImage({ path, maxPixels }: Task): Promise<ImageCheck> {
  const bytes = await readFile(path)
  const found = await readImage(bytes, maxPixels)
  if (!found.ok || (await decodeImage(bytes, found.contentType)) !== undefined) return found
  return { ok: false, message: 'The picture cannot be decoded.' }
}

export function inspect({ path, maxPixels }: Task) {
  return inspectHere(path, maxPixels)
}
