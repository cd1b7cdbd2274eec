import { aspectRatio, element, frame, named, type Parts, prompt, type Rules } from './kling-contents.ts'
import { between, flag, oneOf, type Rule } from './kling-product.ts'

/** Films from whatever is named in the prompt: pictures, a film, elements. */
export function omni(model: 'kling-3.0-omni' | 'kling-o1', promptLength: number): Rules {
  const isO1 = model === 'kling-o1'
  return {
    product: 'omni-video',
    model,
    promptLength,
    settings: {
      ...(!isO1 && { multi_shot: flag }),
      audio: isO1 ? oneOf('original', 'off') : oneOf('native', 'original', 'off'),
      resolution: isO1 ? oneOf('720p', '1080p') : oneOf('720p', '1080p', '4k'),
      aspect_ratio: aspectRatio,
      duration: between(3, isO1 ? 10 : 15),
    },
    contents: {
      prompt: prompt(promptLength),
      first_frame: named,
      last_frame: named,
      refer_image: named,
      feature_video: named,
      base_video: named,
      element,
    },
    rules: (parts) => [...omniRules(parts), ...(isO1 ? o1Rules(parts) : omniCounts(parts))],
    video: (_, field, value) => ({
      field,
      value,
      kind: 'video',
      maxMegabytes: 200,
      ...(isO1
        ? { seconds: [3, 10], sides: [700, 2160] }
        : {
            seconds: [3, 15.5],
            sides: [700, 4553],
            maxArea: 8_294_400,
            ratio: [0.4, 2],
            framesPerSecond: [24, 60],
          }),
    }),
  }
}

function omniRules({ settings, of }: Parts): Rule[] {
  const [feature, base, first] = [of('feature_video'), of('base_video'), of('first_frame')].map(
    ({ length }) => length,
  )
  const hasVideo = feature! + base! > 0
  return [
    [feature! + base! > 1, 'contents: at most one video'],
    [feature! > 0 && settings.multi_shot === false, 'feature_video needs settings.multi_shot'],
    [feature! > 0 && (settings.audio ?? 'off') !== 'off', 'feature_video needs settings.audio off'],
    [base! > 0 && first! > 0, 'base_video takes no first_frame or last_frame'],
    [base! > 0 && settings.multi_shot === true, 'base_video takes no settings.multi_shot'],
    [base! > 0 && settings.audio === 'native', 'base_video takes no native audio'],
    [!hasVideo && first === 0 && settings.aspect_ratio === undefined, 'settings.aspect_ratio is required'],
  ]
}

function omniCounts({ of, elements }: Parts): Rule[] {
  const frames = of('first_frame').length + of('last_frame').length
  const images = frames + of('refer_image').length
  const films = elements.filter((kind) => kind === 'video_refer').length
  const drawn = elements.length - films
  const hasVideo = of('feature_video').length + of('base_video').length > 0
  return [
    [frames > 0 && elements.length > 3, 'contents: at most 3 elements beside frames'],
    [!hasVideo && films === 0 && images + drawn > 7, 'contents: at most 7 images and elements'],
    [!hasVideo && films > 0 && images + elements.length > 4, 'contents: at most 4 images and elements'],
    [films > 3, 'contents: at most 3 video-character elements'],
    [hasVideo && images + drawn > 4, 'contents: at most 4 images and elements beside a video'],
    [hasVideo && films > 1, 'contents: at most one video-character element beside a video'],
    [hasVideo && films > 0 && drawn > 0, 'contents: one kind of elements beside a video'],
    [hasVideo && films > 0 && images > 0, 'contents: no images beside a video and a video-character element'],
  ]
}

function o1Rules({ of, settings, elements }: Parts): Rule[] {
  const [first, last, refer] = [of('first_frame'), of('last_frame'), of('refer_image')].map(
    ({ length }) => length,
  )
  const count = first! + last! + refer! + elements.length
  const hasVideo = of('feature_video').length + of('base_video').length > 0
  const isFirstOnly = first === 1 && count === 1 && !hasVideo
  return [
    [elements.includes('video_refer'), 'contents: this model takes no video-character elements'],
    [count > (hasVideo ? 4 : 7), `contents: at most ${hasVideo ? 4 : 7} images and elements`],
    [
      last === 1 && refer! + elements.length > 0,
      'first_frame and last_frame take no elements and no other images',
    ],
    [
      isFirstOnly && ![5, 10].includes(settings.duration ?? 5),
      'settings.duration must be 5 or 10 with first_frame only',
    ],
  ]
}

/** A picture that moves like a film. */
export function motion(model: 'kling-3.0' | 'kling-2.6'): Rules {
  return {
    product: 'motion-control',
    model,
    promptLength: 2500,
    settings: {
      character_orientation: oneOf('image', 'video'),
      audio: oneOf('original', 'off'),
      resolution: oneOf('720p', '1080p'),
    },
    required: ['character_orientation'],
    contents: { prompt: prompt(2500), image: frame, video: frame, ...(model === 'kling-3.0' && { element }) },
    rules: ({ of, elements }) => [
      [of('image').length !== 1, 'contents must have one image'],
      [of('video').length !== 1, 'contents must have one video'],
      [elements.length > 1, 'contents: at most one element'],
    ],
    video: ({ settings }, field, value) => ({
      field,
      value,
      kind: 'video',
      maxMegabytes: 100,
      sides: [340, 3850],
      seconds: [3, settings.character_orientation === 'video' ? 30 : 10],
    }),
  }
}
