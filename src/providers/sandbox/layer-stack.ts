import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import type { CameraState } from './camera.ts'
import { drawLayer, type Layer, placeOf, type Stage } from './stage.ts'

/** Draws some layers of a stack, farthest first: those from `from` up to, not including, `to`. */
export type LayerStack = (context: SKRSContext2D, camera: CameraState, from?: number, to?: number) => void

/** For each band of a layer's columns the rows it fills, in pixels of its canvas. */
interface Outline {
  /** The first row with anything in it. */
  top: Float64Array
  /** The row after the last one with anything in it. */
  bottom: Float64Array
  /** From this row down to the layer's end nothing shines through. */
  solid: Float64Array
}

const outlineBand = 32
/** What one more call costs, in pixels drawn through the filter: 10 to 45 µs were measured. */
const callPixels = 10_000

/**
 * Layers over a whole backdrop, farthest first. A scaled pixel is the dearest thing in a frame (2 ms per full
 * frame and layer), and most of a range, a dune or a row of trees is empty or hidden by the next one: those
 * parts are left out, in upright bands. From `floor` down something else is painted over all of them.
 */
export function stackLayers(stage: Stage, layers: readonly Layer[], floor = stage.height): LayerStack {
  const outlines = layers.map(({ canvas }) => outlineOf(canvas))
  const band = Math.round(64 * stage.unit)
  const bands = Math.ceil(stage.width / band)
  const tops = layers.map(() => new Float64Array(bands))
  const bottoms = layers.map(() => new Float64Array(bands))

  /** Which rows of the frame each layer must fill; the nearest first, for it hides those behind. */
  const measure = (camera: CameraState): void => {
    for (let index = 0; index < bands; index++) {
      let limit = Math.ceil(floor) + 1
      for (let near = layers.length - 1; near >= 0; near--) {
        const layer = layers[near]!
        const { zoom, x, y } = placeOf(stage, camera, layer.depth)
        const scale = (layer.width * zoom) / layer.canvas.width
        const left = x + layer.x * zoom
        const outline = outlines[near]!
        const last = outline.top.length - 1
        const from = Math.min(last, Math.max(0, Math.floor((index * band - left) / scale / outlineBand)))
        const to = Math.min(
          last,
          Math.max(from, Math.floor(((index + 1) * band - left) / scale / outlineBand)),
        )
        let [top, bottom, solid] = [Number.POSITIVE_INFINITY, 0, 0]
        for (let column = from; column <= to; column++) {
          top = Math.min(top, outline.top[column]!)
          bottom = Math.max(bottom, outline.bottom[column]!)
          solid = Math.max(solid, outline.solid[column]!)
        }
        const down = y + layer.y * zoom
        tops[near]![index] = Math.max(0, Math.floor(down + top * scale) - 1)
        bottoms[near]![index] = Math.min(limit, Math.ceil(down + bottom * scale) + 1)
        if (down + layer.height * zoom >= limit) {
          limit = Math.min(limit, Math.ceil(down + solid * scale) + 1)
        }
      }
    }
  }

  return (context, camera, from = 0, to = layers.length) => {
    // Bands of a rolled frame would not end at whole pixels, and their edges would show.
    if (camera.roll !== 0) {
      for (const layer of layers.slice(from, to)) {
        drawLayer(context, stage, layer, camera)
      }
      return
    }
    measure(camera)
    for (let near = from; near < to; near++) {
      eachRun(tops[near]!, bottoms[near]!, band, (first, end, top, bottom) => {
        context.save()
        context.beginPath()
        context.rect(first * band, top, (end - first) * band, bottom - top)
        context.clip()
        drawLayer(context, stage, layers[near]!, camera)
        context.restore()
      })
    }
  }
}

/** Joins neighbouring bands as long as what is drawn in vain costs less than one more call. */
function eachRun(
  tops: Float64Array,
  bottoms: Float64Array,
  band: number,
  draw: (first: number, end: number, top: number, bottom: number) => void,
): void {
  for (let first = 0; first < tops.length; ) {
    let top = tops[first]!
    let bottom = bottoms[first]!
    let end = first + 1
    let vain = 0
    for (; end < tops.length && bottom > top && bottoms[end]! > tops[end]!; end++) {
      const higher = Math.min(top, tops[end]!)
      const lower = Math.max(bottom, bottoms[end]!)
      vain += ((lower - higher) * (end + 1 - first) - (bottom - top) * (end - first)) * band
      vain -= (bottoms[end]! - tops[end]!) * band
      if (vain > callPixels) {
        break
      }
      top = higher
      bottom = lower
    }
    if (bottom > top) {
      draw(first, end, top, bottom)
    }
    first = end
  }
}

function outlineOf(canvas: Canvas): Outline {
  const { width, height } = canvas
  const bytes = canvas.data()
  const pixels = new Uint32Array(bytes.buffer, bytes.byteOffset, width * height)
  const bands = Math.ceil(width / outlineBand)
  const top = new Float64Array(bands).fill(height)
  const bottom = new Float64Array(bands)
  const solid = new Float64Array(bands)
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const alpha = pixels[row * width + column]! >>> 24
      const index = (column / outlineBand) | 0
      // One step of 255 is less than can be seen, but a bloom's tail of them reaches across the whole layer.
      if (alpha > 1) {
        top[index] = Math.min(top[index]!, row)
        bottom[index] = row + 1
      }
      // Mixing rounds: what was painted over all sides may have lost a few steps.
      if (alpha < 250) {
        solid[index] = row + 1
      }
    }
  }
  return { top, bottom, solid }
}
