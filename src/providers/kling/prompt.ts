import { shotSeconds } from '../shots.ts'
import type { ElementOrder, Order } from './order.ts'

/** One shot as it is sent. */
export interface SaidShot {
  words: string
  seconds: number
}

export const maxShots = 6
export const maxShotLength = 512

/** By which name the prompt speaks of the n-th of its kind; these names hold in both standards. */
export const alias = (kind: 'image' | 'element' | 'video', index: number) => `${kind}_${index + 1}`

/**
 * The prompt of the new standard. Without one the vendor's omni models are told the plain thing; whatever of the references
 * the customer does not mention is named behind it, as the model would leave it out of account. Mentions are understood in the
 * spelling of each of our upstreams, since one prompt may have to do for all of them.
 */
export function sayPrompt(order: Order): string {
  if (order.shots.length === 0) return mention(order, opening(order))
  const shots = sayShots(order).map(({ words, seconds }, index) => {
    // these two part shots, and can't be written otherwise
    return `shot ${index + 1}, ${seconds}, ${words.replaceAll(/\s*[;\r\n]+\s*/g, ', ')}`
  })
  return `${shots.join('; ')};`
}

/** The shots; what `prompt` says holds for each of them. */
export function sayShots(order: Order): SaidShot[] {
  const lengths = shotSeconds(order.shots, order.seconds ?? 0) ?? []
  return order.shots.map(({ prompt }, index) => {
    const words = [order.prompt.trim(), prompt].filter((part) => part !== '').join(' ')
    return {
      words: index === 0 ? mention(order, words) : translate(order, words),
      seconds: lengths[index] ?? 1,
    }
  })
}

/** The legacy standard marks mentions in its own way. */
export function legacyMentions(text: string): string {
  return text.replaceAll(/@((?:image|element|video)_\d+)/g, '<<<$1>>>')
}

function opening({ prompt, model, isExtended, firstFrame, lastFrame }: Order): string {
  const words = prompt.trim()
  if (isExtended) {
    return words === ''
      ? 'Generate the next shot of @video_1, in which it simply goes on.'
      : `Generate the next shot of @video_1: ${words}`
  }
  if (words !== '' || model.family !== 'omni-video') return words
  if (lastFrame !== undefined) return 'The first picture turns into the last one.'
  return firstFrame !== undefined ? 'The picture comes to life.' : 'A video of what is given.'
}

function mention(order: Order, words: string): string {
  const text = translate(order, words)
  const isUnsaid = (name: string) => !new RegExp(`@${name}(?!\\d)`).test(text)
  const references = referenceNames(order).filter(isUnsaid)
  const elements = order.elements.flatMap(({ name }, index) => {
    const own = alias('element', index)
    if (!isUnsaid(own)) return []
    return [name === '' ? `@${own} appears.` : `@${own} is ${name}.`]
  })
  const use =
    references.length === 0 ? [] : [`Use ${references.map((name) => `@${name}`).join(', ')} as reference.`]
  return [text, ...use, ...elements].filter((part) => part !== '').join(' ')
}

function referenceNames({ images, film, filmRole, model }: Order): string[] {
  if (model.family !== 'omni-video') return []
  const pictures = Array.from({ length: images }, (_, index) => alias('image', index))
  return film !== undefined && filmRole === 'feature' ? [...pictures, alias('video', 0)] : pictures
}

/** Mentions as @image_1, whether they were written as @Image1, <<<image_1>>> or, of an element, by its own name. */
function translate(order: Order, words: string): string {
  if (order.elements.length === 0 && order.images === 0 && order.film === undefined) return words
  const text = words
    .replaceAll(/<<<(image|element|video)_(\d+)>>>/gi, '@$1_$2')
    .replaceAll(
      /@(image|element|video)_?(\d+)/gi,
      (_, kind: string, n: string) => `@${kind.toLowerCase()}_${n}`,
    )
  // a longer name may begin with a shorter one
  return order.elements
    .map(({ name }, index) => ({ name, index }))
    .filter(({ name }) => name !== '')
    .toSorted((a, b) => b.name.length - a.name.length)
    .reduce((said, { name, index }) => said.replaceAll(`@${name}`, `@${alias('element', index)}`), text)
}

/** What Kling's library shall call an element: at most 20 characters. */
export function elementName({ name }: ElementOrder, index: number): string {
  return Array.from(name).slice(0, 20).join('') || alias('element', index)
}
