/** Resources of the legacy standard. */
export const legacyPaths = [
  '/v1/videos/text2video',
  '/v1/videos/image2video',
  '/v1/videos/omni-video',
  '/v1/videos/motion-control',
] as const
export type LegacyPath = (typeof legacyPaths)[number]

const legacyOf = {
  'text-to-video': '/v1/videos/text2video',
  'image-to-video': '/v1/videos/image2video',
  'omni-video': '/v1/videos/omni-video',
  'motion-control': '/v1/videos/motion-control',
} as const satisfies Record<string, LegacyPath>
export type Family = keyof typeof legacyOf

export interface Model extends Traits {
  family: Family
  /** Where the new standard has it; undefined: only the legacy one does. */
  path: string | undefined
  legacyPath: LegacyPath
}

interface Traits {
  /** What the legacy standard calls it. */
  legacyName: string
  /** Of the new standard's prompt; the legacy one takes 2,500 everywhere. */
  maxPromptLength: number
  /** It can cut a film into several shots. */
  hasShots?: true
  hasSound?: true
  /** Sound, and two frames, only at 1080p, and not both together. */
  isLimitedAt720p?: true
  /** It follows cfg_scale, on the legacy path. */
  takesScale?: true
  maxElements?: number
  /** Without first and last frame or references only 5 or 10 seconds. */
  isFiveOrTenAlone?: true
}

const kling30: Traits = {
  legacyName: 'kling-v3',
  maxPromptLength: 3072,
  hasShots: true,
  hasSound: true,
  takesScale: true,
}
const kling26: Traits = {
  legacyName: 'kling-v2-6',
  maxPromptLength: 2500,
  hasSound: true,
  isLimitedAt720p: true,
}
const kling25: Traits = { legacyName: 'kling-v2-5-turbo', maxPromptLength: 2500, isLimitedAt720p: true }
const motion = (legacyName: string): Traits => ({ legacyName, maxPromptLength: 2500 })
const kling21 = (legacyName: string): Traits => ({ legacyName, maxPromptLength: 2500 })

const current = (family: Family, version: string, traits: Traits): [string, Model] => [
  `${family}/${version}`,
  { ...traits, family, path: `/${family}/${version}`, legacyPath: legacyOf[family] },
]
const old = (family: Family, traits: Traits): [string, Model] => [
  `${legacyOf[family].slice('/v1/videos/'.length)}/${traits.legacyName}`,
  { ...traits, family, path: undefined, legacyPath: legacyOf[family] },
]

/** By what routes call them: the path of the new standard, or resource and name of the legacy one. */
export const models: ReadonlyMap<string, Model> = new Map([
  current('text-to-video', 'kling-3.0', kling30),
  current('image-to-video', 'kling-3.0', { ...kling30, maxElements: 3 }),
  current('text-to-video', 'kling-2.6', kling26),
  current('image-to-video', 'kling-2.6', kling26),
  current('text-to-video', 'kling-2.5-turbo', kling25),
  current('image-to-video', 'kling-2.5-turbo', kling25),
  current('omni-video', 'kling-3.0-omni', {
    legacyName: 'kling-v3-omni',
    maxPromptLength: 3072,
    hasShots: true,
    hasSound: true,
    maxElements: 7,
  }),
  current('omni-video', 'kling-o1', {
    legacyName: 'kling-video-o1',
    maxPromptLength: 2500,
    isFiveOrTenAlone: true,
  }),
  current('motion-control', 'kling-3.0', motion('kling-v3')),
  current('motion-control', 'kling-2.6', motion('kling-v2-6')),
  old('text-to-video', kling21('kling-v2-1-master')),
  old('image-to-video', kling21('kling-v2-1-master')),
  old('image-to-video', kling21('kling-v2-1')),
])
