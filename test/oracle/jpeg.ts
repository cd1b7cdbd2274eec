import { height, quarterOf, width } from './scene.ts'

/** A JPEG of flat blocks: each has only its mean, so that it can be written without a cosine transform. */
export interface JpegForm {
  /** The samples of one pixel of each quarter, one of each component, 0 to 255. */
  samples: readonly (readonly number[])[]
  /** How often each component is sampled across and down, relative to the others. */
  sampling?: readonly (readonly [across: number, down: number])[]
  isProgressive?: boolean
  /** Restart markers after as many units. */
  restartEvery?: number
  /** Between SOI and the tables. */
  segments?: Buffer[]
  /** The names of the components, by which decoders tell RGB where no marker does. */
  ids?: readonly number[]
}

const [soi, eoi] = [Buffer.from([0xff, 0xd8]), Buffer.from([0xff, 0xd9])]
/** DC differences of 0 to 11 bits, each with a code of four bits. */
const dcLengths = [0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
/** Only "end of block", with a code of one bit. */
const acLengths = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]

export function segment(marker: number, ...parts: (Buffer | number[] | string)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as Buffer)))
  return Buffer.concat([Buffer.from([0xff, marker, (body.length + 2) >> 8, (body.length + 2) & 255]), body])
}

/** Adobe's marker: how the components are to be understood. */
export function adobe(transform: 0 | 1 | 2): Buffer {
  return segment(0xee, 'Adobe', [0, 100, 0, 0, 0, 0, transform])
}

export const jfif = segment(0xe0, 'JFIF\0', [1, 1, 0, 0, 1, 0, 1, 0, 0])

export function makeJpeg(form: JpegForm): Buffer {
  const { samples, isProgressive = false, restartEvery = 0, segments = [] } = form
  const count = samples[0]!.length
  const sampling = form.sampling ?? Array.from({ length: count }, () => [1, 1] as const)
  const ids = form.ids ?? Array.from({ length: count }, (_, index) => index + 1)
  const components = sampling.flatMap(([across, down], index) => [ids[index]!, (across << 4) | down, 0])
  const restart = restartEvery > 0 ? [segment(0xdd, [restartEvery >> 8, restartEvery & 255])] : []
  const scanOf = (indexes: number[], from: number, to: number) =>
    segment(0xda, [indexes.length, ...indexes.flatMap((index) => [ids[index]!, 0]), from, to, 0])
  const all = Array.from({ length: count }, (_, index) => index)
  const scans = isProgressive
    ? [
        scanOf(all, 0, 0),
        entropy(form, sampling, { withEnds: false }),
        ...all.flatMap((index) => [scanOf([index], 1, 63), endsOnly(sampling, index, restartEvery)]),
      ]
    : [scanOf(all, 0, 63), entropy(form, sampling, { withEnds: true })]
  return Buffer.concat([
    soi,
    ...segments,
    segment(0xdb, [0], Buffer.alloc(64, 1)),
    segment(
      isProgressive ? 0xc2 : 0xc0,
      [8, height >> 8, height & 255, width >> 8, width & 255, count],
      components,
    ),
    segment(0xc4, [0x00], dcLengths, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    segment(0xc4, [0x10], acLengths, [0]),
    ...restart,
    ...scans,
    eoi,
  ])
}

class Bits {
  readonly #bytes: number[] = []
  #held = 0
  #count = 0

  put(value: number, length: number): void {
    for (let bit = length - 1; bit >= 0; bit -= 1) {
      this.#held = (this.#held << 1) | ((value >> bit) & 1)
      this.#count += 1
      if (this.#count === 8) this.#flush()
    }
  }

  /** Fills the byte with ones; a marker follows. */
  marker(code: number): void {
    this.align()
    this.#bytes.push(0xff, code)
  }

  align(): void {
    while (this.#count > 0) this.put(1, 1)
  }

  #flush(): void {
    this.#bytes.push(this.#held)
    if (this.#held === 0xff) this.#bytes.push(0)
    ;[this.#held, this.#count] = [0, 0]
  }

  done(): Buffer {
    this.align()
    return Buffer.from(this.#bytes)
  }
}

type Sampling = NonNullable<JpegForm['sampling']>

/** All components in turn: of each unit as many blocks as it is sampled. */
function entropy(
  { samples, restartEvery = 0 }: JpegForm,
  sampling: Sampling,
  { withEnds }: { withEnds: boolean },
) {
  const bits = new Bits()
  const unit = unitOf(sampling)
  const last = sampling.map(() => 0)
  let units = 0
  for (let top = 0; top < height; top += unit.height) {
    for (let left = 0; left < width; left += unit.width) {
      if (restartEvery > 0 && units > 0 && units % restartEvery === 0) {
        bits.marker(0xd0 + ((units / restartEvery - 1) & 7))
        last.fill(0)
      }
      units += 1
      for (const [component, [across, down]] of sampling.entries()) {
        for (let block = 0; block < across * down; block += 1) {
          const x = left + ((block % across) * unit.width) / across
          const y = top + (Math.floor(block / across) * unit.height) / down
          // a block's mean is an eighth of its first coefficient
          const value = 8 * (samples[quarterOf(x, y)]![component]! - 128)
          putDifference(bits, value - last[component]!)
          last[component] = value
          if (withEnds) bits.put(0, 1)
        }
      }
    }
  }
  return bits.done()
}

function unitOf(sampling: Sampling) {
  // a component alone has units of one block, however it is sampled
  const alone = sampling.length === 1
  const most = (index: 0 | 1) => (alone ? 1 : Math.max(...sampling.map((times) => times[index])))
  return { width: 8 * most(0), height: 8 * most(1) }
}

function putDifference(bits: Bits, difference: number): void {
  const length = difference === 0 ? 0 : Math.floor(Math.log2(Math.abs(difference))) + 1
  bits.put(length, 4)
  bits.put(difference < 0 ? difference + 2 ** length - 1 : difference, length)
}

/** The other coefficients of one component, all of them zero. */
function endsOnly(sampling: Sampling, component: number, restartEvery: number): Buffer {
  const bits = new Bits()
  const unit = unitOf(sampling)
  const [across, down] = sampling.length === 1 ? [1, 1] : sampling[component]!
  const blocks = Math.ceil((width * across) / unit.width) * Math.ceil((height * down) / unit.height)
  for (let block = 0; block < blocks; block += 1) {
    if (restartEvery > 0 && block > 0 && block % restartEvery === 0) {
      bits.marker(0xd0 + ((block / restartEvery - 1) & 7))
    }
    bits.put(0, 1)
  }
  return bits.done()
}
