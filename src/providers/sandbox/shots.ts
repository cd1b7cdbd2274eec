import { withoutMagic } from './magic.ts'

/** A part of the film with a prompt of its own; a plain request is one shot. */
export interface ShotRequest {
  prompt: string
  frames: number
}

/**
 * Shares the film's frames among the shots in proportion to their durations; a shot without one counts as the
 * mean of the others. The frames always sum up exactly: the length that was paid for is never changed.
 */
export function readShots(value: unknown, prompt: string, frames: number): ShotRequest[] | null {
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) {
    return [{ prompt: withoutMagic(prompt), frames }]
  }
  if (!Array.isArray(value) || value.length > frames) {
    return null
  }
  const given = value.map((shot) => Number(shotField(shot, 'duration'))).map((s) => (s > 0 ? s : null))
  const known = given.filter((seconds) => seconds !== null)
  const mean = known.length === 0 ? 1 : known.reduce((sum, seconds) => sum + seconds, 0) / known.length
  const weights = given.map((seconds) => seconds ?? mean)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const shots: ShotRequest[] = []
  let passed = 0
  let start = 0
  for (const [index, weight] of weights.entries()) {
    passed += weight
    const left = weights.length - index - 1
    const end = Math.min(frames - left, Math.max(start + 1, Math.round((passed / total) * frames)))
    const own = withoutMagic(text(shotField(value[index], 'prompt')))
    shots.push({ prompt: own === '' ? withoutMagic(prompt) : own, frames: end - start })
    start = end
  }
  return shots
}

/** The prompts of a list of shots, magic words included. */
export function shotPrompts(value: unknown): string[] {
  return Array.isArray(value) ? value.map((shot) => text(shotField(shot, 'prompt'))) : []
}

export function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function shotField(shot: unknown, field: string): unknown {
  return typeof shot === 'object' && shot !== null ? (shot as Record<string, unknown>)[field] : undefined
}
