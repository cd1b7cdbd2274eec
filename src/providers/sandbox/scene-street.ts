import type { Canvas, SKRSContext2D } from '@napi-rs/canvas'
import { addBloom, blend, css, glowSprite, prerender, type Rgb, verticalGradient } from './painter.ts'
import { drawWalker, makeWalkers } from './people.ts'
import { between, seededRandom } from './random.ts'
import { addGrain } from './sky.ts'
import type { Scene, Stage } from './stage.ts'
import { drawGround, groundLayer, makeSplashes } from './street-ground.ts'
import { drawGlow, drawSign, makeLanterns, makeSigns, type Sign } from './street-signs.ts'
import { drawHouse, type House, makeHouses, type StreetView, streetView } from './street-view.ts'
import { makeVeil } from './veil.ts'

/** Houses nearer than this are a layer of their own, which grows faster as the camera moves in. */
const nearMetres = 13

/** A street by night: houses in perspective, neon signs, people, and all of it again in the wet ground. */
export function street(stage: Stage): Scene {
  const { mood, width, height, random, unit } = stage
  stage.horizon = height * (width >= height ? 0.5 : 0.56)
  const view = streetView(stage)
  const seed = Math.floor(random() * 2 ** 31)
  const houses = makeHouses(random, (salt) => seededRandom(seed, `house ${salt}`))
  const haze = blend([46, 26, 78], mood.sky.at(-1)!, 0.2)
  const signs = makeSigns(random, view, 30, view.focal)
  const lanterns = makeLanterns(random, view, view.focal)
  const isWet = mood.weather === 'rain' || mood.hasWater
  const back = backdrop(stage, view, houses, haze)
  const sides = ([-1, 1] as const).map((side) => nearSide(stage, view, houses, haze, side))
  const ground = groundLayer(stage, houses, [...signs, ...lanterns], haze, isWet)
  const walkers = mood.hasPeople ? makeWalkers(random, view, 7, mood.weather === 'rain') : []
  const glow = makeGlow(stage, view, [...signs, ...lanterns])
  const splashes = mood.weather === 'rain' ? makeSplashes(stage) : null
  return {
    paint(context, camera, seconds) {
      const moved = (camera.zoom - 1) * 7
      const sideways = -camera.x * 0.05 * width
      const lift = -camera.y * 0.03 * height
      context.save()
      context.translate(0, lift)
      drawGround(context, stage, ground, camera, seconds, sideways, isWet)
      context.save()
      clipBetween(context, stage, sides, 1 + (camera.zoom - 1) * 1.05, sideways)
      growAround(context, stage, back, 1 + (camera.zoom - 1) * 0.45, sideways * 0.4)
      context.restore()
      for (const side of sides) {
        growAround(context, stage, side, 1 + (camera.zoom - 1) * 1.05, sideways)
      }
      context.translate(sideways * 0.8, 0)
      for (const sign of signs) {
        drawSign(context, view, sign, moved)
      }
      ropes(context, view, lanterns, moved, unit)
      for (const lantern of lanterns) {
        drawSign(context, view, lantern, moved)
      }
      glow(context, moved, seconds)
      for (const walker of walkers) {
        drawWalker(context, view, walker, moved, seconds)
      }
      splashes?.(context, seconds)
      context.restore()
    },
  }
}

/**
 * The light of all signs, gathered small and laid over the street at once: one by one at full size they cost
 * 6 ms a frame, so 2.
 */
function makeGlow({ width, height }: Stage, view: StreetView, signs: Sign[]) {
  const scale = 1 / 8
  // Signs hang here; beyond it the houses' own bloom is light enough.
  const area = { x: width * 0.12, width: width * 0.76, height: height * 0.62 }
  const small = { width: Math.ceil(area.width * scale), height: Math.ceil(area.height * scale) }
  const veil = makeVeil(area.width, area.height, scale)
  // Fades out at its border, which would show as a line where a large glow crosses it.
  const fade = prerender(small.width, small.height, (context) => {
    context.filter = 'blur(5px)'
    context.fillRect(8, -20, small.width - 16, small.height + 10)
  })
  return (context: SKRSContext2D, moved: number, seconds: number): void => {
    veil.paint(seconds, (gathered) => {
      gathered.globalCompositeOperation = 'lighter'
      gathered.translate(-area.x, 0)
      for (const sign of signs) {
        drawGlow(gathered, view, sign, moved, seconds)
      }
      gathered.resetTransform()
      gathered.globalAlpha = 1
      gathered.globalCompositeOperation = 'destination-in'
      gathered.drawImage(fade, 0, 0)
    })
    context.globalCompositeOperation = 'screen'
    veil.lay(context, area.x, 0)
    context.globalCompositeOperation = 'source-over'
  }
}

interface Flat {
  canvas: Canvas
  x: number
  y: number
  width: number
  height: number
}

/** Draws a flat enlarged around the vanishing point, as moving down the street does. */
function growAround(context: SKRSContext2D, stage: Stage, flat: Flat, zoom: number, shift: number): void {
  const middle = stage.width / 2
  context.drawImage(
    flat.canvas,
    middle + (flat.x - middle) * zoom + shift,
    stage.horizon + (flat.y - stage.horizon) * zoom,
    flat.width * zoom,
    flat.height * zoom,
  )
}

/** The near houses reach from their foot to above the frame: nothing is seen of what lies behind them. */
function clipBetween(
  context: SKRSContext2D,
  { width, height, unit }: Stage,
  [left, right]: readonly Flat[],
  zoom: number,
  shift: number,
): void {
  const middle = width / 2
  // Whole pixels and a little more, so that the edge lies under the houses' own.
  const from = Math.floor(middle + (left!.x + left!.width - middle) * zoom + shift - 8 * unit)
  const to = Math.ceil(middle + (right!.x - middle) * zoom + shift + 8 * unit)
  context.beginPath()
  context.rect(from, -height, to - from, 3 * height)
  context.clip()
}

/** Sky, far towers, the glow at the end of the street, and the far houses. */
function backdrop(stage: Stage, view: StreetView, houses: House[], haze: Rgb): Flat {
  const { mood, width, height, horizon, random, unit } = stage
  const margin = Math.ceil(0.06 * width)
  const bottom = Math.min(height, horizon + (view.eyeHeight / 9) * view.focal)
  const top = -Math.ceil(height * 0.05)
  const canvas = prerender(width + 2 * margin, bottom - top, (context) => {
    context.translate(margin, -top)
    const sky = [
      blend(mood.sky[0]!, [10, 6, 26], 0.5),
      blend(mood.sky[1]!, [34, 14, 60], 0.5),
      blend([96, 36, 110], haze, 0.3),
    ]
    context.fillStyle = verticalGradient(
      context,
      top,
      horizon,
      sky.map((color) => css(color)),
    )
    context.fillRect(-margin, top, width + 2 * margin, horizon - top + 1)
    for (let index = 0; index < 26; index++) {
      const wide = between(random, 26, 80) * unit
      const tall = between(random, 60, 250) * unit
      const x = width / 2 + between(random, -0.34, 0.34) * width
      tower(
        context,
        random,
        x,
        horizon,
        wide,
        tall,
        blend([24, 16, 46], haze, between(random, 0.25, 0.6)),
        unit,
      )
    }
    context.save()
    context.beginPath()
    context.rect(-margin, top, width + 2 * margin, horizon - top + 1)
    context.clip()
    context.globalCompositeOperation = 'screen'
    const glow = glowSprite(512, [255, 92, 160], 0.05)
    const reach = height * 0.95
    context.globalAlpha = 0.75
    context.drawImage(glow, width / 2 - reach / 2, horizon - reach * 0.5, reach, reach)
    const warm = glowSprite(512, [255, 190, 110], 0.05)
    context.drawImage(warm, width / 2 - reach / 5, horizon - reach / 5, reach / 2.5, reach / 2.5)
    context.restore()
    for (const house of houses.filter((one) => one.far > nearMetres - 4)) {
      drawHouse(context, view, house, haze)
    }
  })
  addBloom(canvas, 0.7)
  addGrain(canvas, random, 1.5)
  return { canvas, x: -margin, y: top, width: width + 2 * margin, height: bottom - top }
}

function tower(
  context: SKRSContext2D,
  random: Stage['random'],
  x: number,
  foot: number,
  wide: number,
  tall: number,
  color: Rgb,
  unit: number,
): void {
  context.fillStyle = css(color)
  context.fillRect(x, foot - tall, wide, tall)
  context.fillStyle = css([255, 214, 160], 0.5)
  for (let y = foot - tall + 5 * unit; y < foot; y += 6 * unit) {
    for (let across = 4 * unit; across < wide - 4 * unit; across += 5 * unit) {
      if (random() < 0.24) {
        context.fillRect(x + across, y, 2.2 * unit, 2.6 * unit)
      }
    }
  }
}

/** The near houses of one side, cut to the part of the frame they can reach. */
function nearSide(stage: Stage, view: StreetView, houses: House[], haze: Rgb, side: -1 | 1): Flat {
  const { width, height } = stage
  const margin = Math.ceil(0.06 * width)
  const inner = width / 2 - (view.halfWidth / nearMetres) * view.focal
  const reach = Math.max(4, inner + margin)
  const bottom = height * 1.04
  const x = side < 0 ? -margin : width / 2 + (view.halfWidth / nearMetres) * view.focal
  const top = -Math.ceil(height * 0.05)
  const canvas = prerender(reach, bottom - top, (context) => {
    context.translate(-x, -top)
    for (const house of houses) {
      if (house.side === side && house.near < nearMetres) {
        drawHouse(context, view, { ...house, far: Math.min(house.far, nearMetres + 0.5) }, haze)
      }
    }
    // The eye is led down the street: the frame's edges are darker.
    context.globalCompositeOperation = 'source-atop'
    const shade = context.createLinearGradient(side < 0 ? 0 : width, 0, side < 0 ? inner : width - inner, 0)
    shade.addColorStop(0, 'rgba(4,3,12,0.55)')
    shade.addColorStop(1, 'rgba(4,3,12,0)')
    context.fillStyle = shade
    context.fillRect(x, top, reach, bottom - top)
  })
  addBloom(canvas, 0.8)
  return { canvas, x, y: top, width: reach, height: bottom - top }
}

function ropes(
  context: SKRSContext2D,
  view: StreetView,
  lanterns: Sign[],
  moved: number,
  unit: number,
): void {
  context.strokeStyle = 'rgba(8,6,14,0.85)'
  context.lineWidth = 1.4 * unit
  for (const [index, lantern] of lanterns.entries()) {
    const point = view.point(lantern.x, lantern.y + 0.62, lantern.z - moved)
    if (lanterns[index - 1]?.z === lantern.z) {
      context.lineTo(...point)
    } else {
      context.beginPath()
      context.moveTo(...view.point(-view.halfWidth, lantern.y + 1.1, lantern.z - moved))
      context.lineTo(...point)
    }
    if (lanterns[index + 1]?.z !== lantern.z) {
      context.lineTo(...view.point(view.halfWidth, lantern.y + 1.1, lantern.z - moved))
      // Each rope by itself: as one path, whose box is most of the frame, the three took 0.9 ms.
      context.stroke()
    }
  }
}
