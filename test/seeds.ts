import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { seedJobs } from '../demo/seeds.ts'

const folder = join(import.meta.dirname, '../../shared/seeds')

/** The published request of a model, word for word from its page where the pages are at hand. */
export function seedBody(model: string): { model: string; input: Record<string, string> } {
  const own = seedJobs.find((job) => job.model === model)!
  return structuredClone(own) as { model: string; input: Record<string, string> }
}

/** The pages, or undefined where the folder is absent. */
export function readSeedPages(): string[] | undefined {
  if (!existsSync(folder)) return undefined
  return ['000_f879d020de69f807.txt', '002_527d08cee72d792c.txt'].map((name) =>
    readFileSync(join(folder, name), 'utf8'),
  )
}

export const imageToVideo = 'kling/kling-omni-o1/image-to-video'
export const textToVideo = 'kling-plus/kling-o3-standard/text-to-video'
