/** A stream of numbers in [0, 1) that depends on its seed alone: the same request always paints the same film. */
export type Random = () => number

/** Mixes the bits of a 32-bit number so that neighbours end up far apart. */
function mix(value: number): number {
  let bits = value | 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x7feb352d)
  bits = Math.imul(bits ^ (bits >>> 15), 0x846ca68b)
  return (bits ^ (bits >>> 16)) >>> 0
}

/** A 32-bit number for a text; prompts without a seed get theirs from it. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return mix(hash)
}

/** Starts a stream; `salt` keeps the parts of one film apart, so that a change to one leaves the others alone. */
export function seededRandom(seed: number, salt: string): Random {
  let counter = (mix(seed) ^ hashText(salt)) | 0
  return () => {
    counter = (counter + 0x9e3779b9) | 0
    return mix(counter) / 4294967296
  }
}

/** A number between `low` and `high`. */
export function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random()
}

/** One of the items, each as likely as the others. */
export function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)]!
}

/** The seed of one part of a job, so that two shots or pictures of one prompt still differ. */
export function variantSeed(seed: number, index: number): number {
  return seed + index * 7919
}
