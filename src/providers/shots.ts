/** A part of a film between two cuts, as models with a `multishot` field take it. */
export interface Shot {
  prompt: string
  duration?: number
}

/** Whole seconds of each shot: those without a duration share what the others leave. Undefined where one would get nothing. */
export function shotSeconds(shots: Shot[], totalSeconds: number): number[] | undefined {
  const open = shots.filter(({ duration }) => duration === undefined).length
  const left = totalSeconds - shots.reduce((sum, { duration = 0 }) => sum + duration, 0)
  if (left < open || (open === 0 && left !== 0)) return undefined
  // the first ones get what does not come out even
  let over = left % Math.max(open, 1)
  return shots.map(({ duration }) => duration ?? Math.floor(left / open) + (over-- > 0 ? 1 : 0))
}
