import { type CameraState, readCamera } from './camera.ts'
import { type Mood, readMood } from './mood.ts'
import type { Painter } from './painter.ts'
import { seededRandom } from './random.ts'
import { desert } from './scene-desert.ts'
import { forest } from './scene-forest.ts'
import { meadow } from './scene-meadow.ts'
import { mountains } from './scene-mountains.ts'
import { room } from './scene-room.ts'
import { sea } from './scene-sea.ts'
import { skyline } from './scene-skyline.ts'
import { space } from './scene-space.ts'
import { street } from './scene-street.ts'
import type { Scene, Stage } from './stage.ts'
import { paintWeather } from './weather.ts'

const scenes: Record<Mood['place'], (stage: Stage) => Scene> = {
  mountains,
  street,
  skyline,
  sea,
  forest,
  desert,
  space,
  meadow,
  room,
}

/** Paints a moving scene from the prompt's words; the seed decides what they leave open. */
export function textToVideo(prompt: string, width: number, height: number, seed: number): Painter {
  const mood = readMood(prompt, seededRandom(seed, 'mood'))
  const camera = readCamera(prompt, seededRandom(seed, 'camera'))
  const unit = Math.min(width, height) / 720
  const random = seededRandom(seed, 'scene')
  const scene = scenes[mood.place]({ mood, width, height, unit, horizon: height * 0.5, random })
  const tint = mood.weather === 'fog' ? mood.haze : null
  // In a room the weather stays behind the window, where the scene paints it.
  const air = mood.place === 'room' || mood.place === 'space' ? 'clear' : mood.weather
  const weather = paintWeather(air, width, height, seededRandom(seed, 'weather'), tint)
  return {
    paint(context, progress, seconds) {
      const state = camera(progress)
      const roll = openRoll(state, width, height)
      context.save()
      context.translate(width / 2, height / 2)
      context.rotate(state.roll)
      context.scale(roll, roll)
      context.translate(-width / 2, -height / 2)
      scene.paint(context, state, seconds)
      weather?.paint(context, progress, seconds)
      context.restore()
    },
  }
}

/** How much closer a rolled view must be for its corners to stay inside the picture. */
function openRoll({ roll }: CameraState, width: number, height: number): number {
  const longer = Math.max(width, height) / Math.min(width, height)
  return Math.cos(roll) + longer * Math.abs(Math.sin(roll))
}
