import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import type { CameraState } from './camera.ts'
import type { Mood } from './mood.ts'
import { prerender } from './painter.ts'
import type { Random } from './random.ts'

/** What a place is painted from. */
export interface Stage {
  mood: Mood
  width: number
  height: number
  /** One 720th of the short side: what a pixel is at 720p. */
  unit: number
  /** The height of the horizon, in pixels from the top. */
  horizon: number
  random: Random
}

/** A painted place, seen through a camera. */
export interface Scene {
  paint(context: SKRSContext2D, camera: CameraState, seconds: number): void
}

/**
 * A flat that is painted once and pushed about behind the frame like scenery on a stage. `depth` 0 never moves,
 * 1 moves most; the steps between are what gives a picture its depth.
 */
export interface Layer {
  canvas: Canvas
  x: number
  y: number
  width: number
  height: number
  depth: number
  /** Nothing in it is sharp, so it is laid out at its full size and drawn without the filter: a quarter of the cost. */
  isSoft?: boolean
}

const widestShift = 0.07
const highestShift = 0.035

/** How far a layer reaches beyond the frame on each side, so that its end never shows. */
export function overhang({ width, height }: Stage): { x: number; y: number } {
  return { x: Math.ceil(width * (widestShift + 0.01)), y: Math.ceil(height * (highestShift + 0.01)) }
}

export interface LayerOptions {
  depth: number
  top: number
  bottom: number
  /** Smaller than 1 draws a soft layer with fewer pixels. */
  resolution?: number
}

/** Paints a layer over the frame's whole width; `draw` works in the frame's coordinates. */
export function makeLayer(
  stage: Stage,
  { depth, top, bottom, resolution = 1 }: LayerOptions,
  draw: (context: SKRSContext2D, left: number, right: number) => void,
): Layer {
  const beyond = overhang(stage)
  const x = -beyond.x
  const width = stage.width + 2 * beyond.x
  const height = bottom - top
  const canvas = prerender(width * resolution, height * resolution, (context) => {
    context.scale(resolution, resolution)
    context.translate(-x, -top)
    draw(context, x, x + width)
  })
  return { canvas, x, y: top, width, height, depth }
}

/** Draws a layer where the camera sees it. */
export function drawLayer(
  context: SKRSContext2D,
  stage: Stage,
  layer: Layer,
  camera: CameraState,
  shift = 0,
): void {
  const place = placeOf(stage, camera, layer.depth)
  // On a rolled frame the lines between doubled pixels would show as steps.
  context.imageSmoothingEnabled = layer.isSoft !== true || camera.roll !== 0
  context.drawImage(
    layer.canvas,
    place.x + (layer.x + shift) * place.zoom,
    place.y + layer.y * place.zoom,
    layer.width * place.zoom,
    layer.height * place.zoom,
  )
  context.imageSmoothingEnabled = true
}

/** The layer enlarged to its size in the frame once, instead of in every frame. */
export function softened(layer: Layer): Layer {
  const canvas = prerender(layer.width, layer.height, (context) => {
    context.imageSmoothingQuality = 'high'
    context.drawImage(layer.canvas, 0, 0, layer.width, layer.height)
  })
  return { ...layer, canvas, isSoft: true }
}

/** Moves the drawing that follows to where the camera sees things of this depth; undone by `restore`. */
export function enterDepth(context: SKRSContext2D, stage: Stage, depth: number, camera: CameraState): void {
  const place = placeOf(stage, camera, depth)
  context.save()
  context.translate(place.x, place.y)
  context.scale(place.zoom, place.zoom)
}

/** Where the camera sees the frame's origin at this depth, and how much enlarged. */
export function placeOf(stage: Stage, camera: CameraState, depth: number) {
  const zoom = 1 + (camera.zoom - 1) * depth
  const middle = stage.width / 2
  return {
    zoom,
    x: middle - middle * zoom - camera.x * widestShift * stage.width * depth,
    y: stage.horizon - stage.horizon * zoom - camera.y * highestShift * stage.height * depth,
  }
}
