import type { Random } from './random.ts'

/** A smooth random field with values in [0, 1], the same for the same stream. */
export interface Noise {
  at(x: number, y: number): number
  /** Several octaves of the field on top of each other: clouds, rock, ridges. */
  layered(x: number, y: number, octaves: number): number
}

const tableSize = 128

/** Random values on a grid with a smooth way between them. */
export function makeNoise(random: Random): Noise {
  const values = new Float32Array(tableSize * tableSize)
  for (let index = 0; index < values.length; index++) {
    values[index] = random()
  }
  const valueAt = (column: number, row: number): number =>
    values[(row & (tableSize - 1)) * tableSize + (column & (tableSize - 1))]!
  const at = (x: number, y: number): number => {
    const column = Math.floor(x)
    const row = Math.floor(y)
    const acrossShare = smooth(x - column)
    const downShare = smooth(y - row)
    const top = valueAt(column, row) + (valueAt(column + 1, row) - valueAt(column, row)) * acrossShare
    const left = valueAt(column, row + 1)
    const bottom = left + (valueAt(column + 1, row + 1) - left) * acrossShare
    return top + (bottom - top) * downShare
  }
  return {
    at,
    layered(x, y, octaves) {
      let sum = 0
      let weight = 0.5
      let total = 0
      let scale = 1
      for (let octave = 0; octave < octaves; octave++) {
        // Shifted, so that the grid lines of the octaves do not fall on each other.
        sum += weight * at(x * scale + octave * 17.3, y * scale + octave * 41.7)
        total += weight
        weight /= 2
        scale *= 2
      }
      return sum / total
    },
  }
}

function smooth(share: number): number {
  return share * share * (3 - 2 * share)
}

/** 0 below `low`, 1 above `high`, smooth between. */
export function smoothStep(low: number, high: number, value: number): number {
  return smooth(Math.max(0, Math.min(1, (value - low) / (high - low))))
}
