import type { InputMedia, ProviderRequest } from '../provider.ts'

/** How a file of the customer's comes into the result. */
export interface SourceRequest {
  kind: 'image' | 'video'
  /** `scene` fills the frame, in turn with others; `ending` is a film's last frame that does; `card` lies on top. */
  use: 'scene' | 'ending' | 'card'
}

export interface SourceFile extends SourceRequest {
  file: Exclude<InputMedia, { kind: 'audio' }>
}

type Request = Pick<ProviderRequest, 'model' | 'media'>

// The order in which a film goes through its pictures; fields that are not named come in between.
const firstFields = ['input_video_url', 'start_frame_url', 'first_frame_url', 'image_url', 'image']
const lastFields = ['end_frame_url', 'end_image_url', 'end_image', 'last_frame_url']
const mostScenes = 12
const mostCards = 6

/** Which of the customer's pictures and films are used, in the order of their appearance. */
export function readSources({ model, media }: Request, isStill: boolean): SourceFile[] {
  const place = (field: string): number =>
    lastFields.includes(field) ? 1 : firstFields.includes(field) ? firstFields.indexOf(field) - 99 : 0
  const found = Object.keys(media)
    .sort((one, other) => place(one) - place(other))
    .flatMap((field) => (media[field] ?? []).map((file) => ({ field, file })))
    .flatMap(({ field, file }) => (file.kind === 'audio' ? [] : [{ field, file, kind: file.kind }]))
  const sources = found.map(({ field, file, kind }, index): SourceFile => {
    const use = isStill && index > 0 ? 'card' : useOf(model.capability, field, kind)
    return { kind, use, file }
  })
  const cards = sources.filter(({ use }) => use === 'card')
  const scenes = sources.filter(({ use }) => use !== 'card')
  return scenes.length === 0
    ? cards.slice(0, mostScenes).map((card) => ({ ...card, use: 'scene' }))
    : [...scenes.slice(0, mostScenes), ...cards.slice(0, mostCards)]
}

function useOf(capability: string, field: string, kind: SourceRequest['kind']): SourceRequest['use'] {
  if (kind === 'video') {
    if (capability.includes('extend') || field === 'input_video_url') return 'ending'
    return capability.startsWith('motion') ? 'card' : 'scene'
  }
  // Pictures within elements, and those that go with a film to be edited, say what someone looks like.
  return field.includes('.') || capability.startsWith('video-edit') ? 'card' : 'scene'
}
