import type { Canvas, Image, SKRSContext2D } from '@napi-rs/canvas'
import { type Camera, type CameraState, readCamera } from './camera.ts'
import { type Painter, prerender } from './painter.ts'
import { seededRandom } from './random.ts'
import { paintWeather, readWeather } from './weather.ts'

/** Below this share of the picture left by a cut to the frame's shape, the rest is filled softly instead. */
export const leastKeptShare = 0.5
/** A camera never moves further than this share of the frame in one shot: faster makes the viewer sick. */
const widestShift = 0.17

/** A picture laid out for the camera: `width` and `height` are its extent in frame pixels at zoom 1. */
interface Plate {
  canvas: Canvas
  width: number
  height: number
  /** How strongly it follows the camera: 1 wholly, less lies further back. */
  depth: number
  /** Where the middle of interest is, as a share of the room to move. */
  biasY: number
}

/** Moves the customer's own picture, with the camera that the prompt asks for. */
export function imageToVideo(
  picture: Image | Canvas,
  prompt: string,
  width: number,
  height: number,
  seed: number,
): Painter {
  const camera = readCamera(prompt, seededRandom(seed, 'camera'))
  const plates = layOut(picture, width, height)
  const vignette = vignetteLayer(width, height)
  const light = lightLayer(width, height)
  const weather = paintWeather(readWeather(prompt), width, height, seededRandom(seed, 'weather'), null)
  return {
    paint(context, progress, seconds) {
      for (const plate of plates) {
        drawPlate(context, plate, width, height, stateAt(camera, progress, plate.depth))
      }
      // A band of light crosses once per shot, so that even a still camera has life.
      context.globalCompositeOperation = 'screen'
      context.drawImage(light, Math.round((progress * 1.9 - 0.75) * width), 0)
      context.globalCompositeOperation = 'source-over'
      weather?.paint(context, progress, seconds)
      context.drawImage(vignette, 0, 0)
    },
  }
}

function stateAt(camera: Camera, progress: number, depth: number): CameraState {
  const state = camera(progress)
  return {
    zoom: 1 + (state.zoom - 1) * depth,
    x: state.x * depth,
    y: state.y * depth,
    roll: state.roll,
  }
}

function layOut(picture: Image | Canvas, width: number, height: number): Plate[] {
  const cover = Math.max(width / picture.width, height / picture.height)
  const kept = (width * height) / (picture.width * cover * (picture.height * cover))
  if (kept >= leastKeptShare) {
    const extent = { width: picture.width * cover, height: picture.height * cover }
    // Heads and horizons are more often above the middle of a tall picture than below it.
    return [{ canvas: scaled(picture, extent), ...extent, depth: 1, biasY: -0.6 }]
  }
  const contain = Math.min(width / picture.width, height / picture.height)
  // A fifth closer than whole: a little of the long side is cut, and the picture fills more of the frame.
  const front = { width: picture.width * contain * 1.2, height: picture.height * contain * 1.2 }
  const back = { width: width * 1.02, height: height * 1.02 }
  return [
    { canvas: blurred(picture, width, height), ...back, depth: 0.5, biasY: 0 },
    { canvas: feathered(picture, front, height), ...front, depth: 1, biasY: 0 },
  ]
}

/** Draws a plate so that the frame lies inside it whatever the camera asks: never an edge of the picture. */
function drawPlate(
  context: SKRSContext2D,
  plate: Plate,
  width: number,
  height: number,
  state: CameraState,
): void {
  const across = Math.abs(Math.cos(state.roll))
  const turned = Math.abs(Math.sin(state.roll))
  const needWidth = width * across + height * turned
  const needHeight = width * turned + height * across
  const isFramed = plate.width >= width * 0.999 && plate.height >= height * 0.999
  const fits = isFramed ? Math.max(needWidth / plate.width, needHeight / plate.height) : 0
  const zoom = Math.max(state.zoom, fits)
  const roomX = Math.max(0, plate.width * zoom - needWidth) / 2
  const roomY = Math.max(0, plate.height * zoom - needHeight) / 2
  const wantedX = state.x * Math.min(roomX, width * widestShift)
  const wantedY = plate.biasY * roomY + state.y * Math.min(roomY, height * widestShift)
  const shiftX = Math.max(-roomX, Math.min(roomX, wantedX))
  const shiftY = Math.max(-roomY, Math.min(roomY, wantedY))
  context.save()
  // The plate is within a few percent of its size on screen: there the plain filter (2.9 ms) looks like the
  // better one (4.9 ms).
  context.imageSmoothingQuality = 'low'
  context.translate(width / 2, height / 2)
  context.rotate(state.roll)
  // After the turn: the room to move was measured along the picture's own edges.
  context.translate(-shiftX, -shiftY)
  context.scale(zoom, zoom)
  context.drawImage(plate.canvas, -plate.width / 2, -plate.height / 2, plate.width, plate.height)
  context.restore()
}

/**
 * The picture at the size it is drawn at in the middle of a move. Shrinking a large picture once is what keeps
 * a frame cheap; enlarging a small one once is what keeps it smooth.
 */
function scaled(picture: Image | Canvas, extent: { width: number; height: number }): Canvas {
  const scale = 1.12
  const [width, height] = [extent.width * scale, extent.height * scale]
  // In steps of three at most: enlarged at once, the pixels of a tiny picture show as a grid.
  let source: Image | Canvas = picture
  while (source.width * 3 < width) {
    const from: Image | Canvas = source
    source = prerender(from.width * 3, from.height * 3, (context) => {
      context.imageSmoothingQuality = 'high'
      context.drawImage(from, 0, 0, context.canvas.width, context.canvas.height)
    })
  }
  return prerender(width, height, (context) => {
    context.imageSmoothingQuality = 'high'
    context.drawImage(source, 0, 0, context.canvas.width, context.canvas.height)
  })
}

/** The picture far out of focus over the whole frame. Drawn through a tiny canvas: the cheapest wide blur. */
export function blurred(picture: Image | Canvas, width: number, height: number): Canvas {
  const cover = Math.max(width / picture.width, height / picture.height)
  const small = 1 / 24
  const tiny = prerender(width * small, height * small, (context) => {
    const { width: across, height: down } = context.canvas
    const w = picture.width * cover * small
    const h = picture.height * cover * small
    context.imageSmoothingQuality = 'high'
    context.drawImage(picture, (across - w) / 2, (down - h) / 2, w, h)
    context.fillStyle = 'rgba(10,12,18,0.38)'
    context.fillRect(0, 0, across, down)
  })
  return prerender(width / 2, height / 2, (context) => {
    context.imageSmoothingQuality = 'high'
    context.filter = `blur(${Math.round(width / 60)}px)`
    const bleed = width / 16
    context.drawImage(tiny, -bleed, -bleed, width / 2 + 2 * bleed, height / 2 + 2 * bleed)
  })
}

/** The picture with the two edges that end inside the frame faded out. */
function feathered(
  picture: Image | Canvas,
  extent: { width: number; height: number },
  height: number,
): Canvas {
  const canvas = scaled(picture, extent)
  const context = canvas.getContext('2d')
  const isWide = extent.height < height
  const length = isWide ? canvas.height : canvas.width
  const fade = context.createLinearGradient(0, 0, isWide ? 0 : length, isWide ? length : 0)
  for (const [at, alpha] of featherStops) {
    fade.addColorStop(at, `rgba(0,0,0,${alpha})`)
    fade.addColorStop(1 - at, `rgba(0,0,0,${alpha})`)
  }
  context.globalCompositeOperation = 'destination-in'
  context.fillStyle = fade
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.globalCompositeOperation = 'source-over'
  return canvas
}

const featherStops = [
  [0, 0],
  [0.04, 0.1],
  [0.09, 0.45],
  [0.15, 0.88],
  [0.2, 1],
] as const

function vignetteLayer(width: number, height: number): Canvas {
  // At full size: a copy that needs no scaling costs a fifth of one that does.
  return prerender(width, height, (context) => {
    const { width: w, height: h } = context.canvas
    const gradient = context.createRadialGradient(
      w / 2,
      h / 2,
      Math.min(w, h) * 0.35,
      w / 2,
      h / 2,
      Math.hypot(w, h) / 2,
    )
    gradient.addColorStop(0, 'rgba(0,0,0,0)')
    gradient.addColorStop(0.6, 'rgba(0,0,0,0.08)')
    gradient.addColorStop(1, 'rgba(0,0,0,0.34)')
    context.fillStyle = gradient
    context.fillRect(0, 0, w, h)
  })
}

function lightLayer(width: number, height: number): Canvas {
  const band = width * 0.6
  return prerender(band, height, (context) => {
    const gradient = context.createLinearGradient(band * 0.12, 0, band * 0.88, height * 0.16)
    gradient.addColorStop(0, 'rgba(255,236,205,0)')
    gradient.addColorStop(0.3, 'rgba(255,236,205,0.03)')
    gradient.addColorStop(0.5, 'rgba(255,240,214,0.09)')
    gradient.addColorStop(0.7, 'rgba(255,236,205,0.03)')
    gradient.addColorStop(1, 'rgba(255,236,205,0)')
    context.fillStyle = gradient
    context.fillRect(0, 0, band, height)
  })
}
