import { between, pick, type Random, seededRandom } from '../src/providers/sandbox/random.ts'

/** What becomes of one submit. In those of `accepting` the upstream has the job, whatever the gateway hears. */
export const accepting = [
  'accepts',
  'accepts slowly',
  'accepts, then 500',
  'accepts, then resets',
  'accepts, then is cut off',
  'accepts, then babbles',
  'accepts, then floods',
  'accepts, then is silent',
  'resets, accepts later',
] as const
export const refusing = ['429', '429 with Retry-After', '503', '400'] as const
const losing = ['500', 'resets', 'babbles'] as const
export type SubmitFate = (typeof accepting)[number] | (typeof refusing)[number] | (typeof losing)[number]

/** What becomes of one call that asks about jobs. */
export type AskFate =
  | 'answers'
  | 'answers slowly'
  | '429'
  | '429 with Retry-After'
  | '500'
  | 'resets'
  | 'is cut off'
  | 'babbles'
  | 'floods'

/** Some do it the first time that the file is asked for; `is missing` for ever. */
export type FileFate =
  | 'is there'
  | 'is missing once'
  | 'is missing'
  | 'stalls'
  | 'lies about its length'
  | 'is too short'
  | 'is cut off'
  | 'expires'

export type CallbackHabit = 'each change' | 'none' | 'several times' | 'out of order' | 'forged'

/** What the upstream does with one job. */
export interface Script {
  /** Of its submits in turn; behind the last one it accepts. */
  submits: SubmitFate[]
  workMs: number
  /** From processing back to queued and on again; never from an end. */
  goesBack: boolean
  end: 'succeeded' | 'failed' | 'rejected'
  callbacks: CallbackHabit
  file: FileFate
  medium: 'image' | 'video'
  confirmsCancel: boolean
}

/** How often things go wrong: `mild` leaves out what takes tens of seconds. */
export type Temper = 'calm' | 'mild' | 'wild'

/** The script of an order depends on the seed and its number alone, so that a run can be repeated. */
export function scriptOf(seed: number, order: number, temper: Temper, isLate: boolean): Script {
  const random = seededRandom(seed, `order ${order}`)
  const chance = (share: number) => temper !== 'calm' && random() < share
  return {
    submits: chance(0.4)
      ? Array.from({ length: 1 + Math.floor(random() * 2) }, () => submitFate(random, temper))
      : [],
    workMs: isLate ? between(random, 6_000, 9_000) : between(random, 100, 2_500),
    goesBack: chance(0.2),
    end: chance(0.1) ? pick(random, ['failed', 'rejected']) : 'succeeded',
    callbacks: chance(0.6)
      ? pick(random, ['none', 'several times', 'out of order', 'forged'])
      : 'each change',
    file: chance(0.25) ? fileFate(random, temper) : 'is there',
    medium: random() < 0.1 ? 'video' : 'image',
    confirmsCancel: random() < 0.5,
  }
}

function submitFate(random: Random, temper: Temper): SubmitFate {
  const fates: SubmitFate[] = [...accepting, ...refusing, ...losing]
  const fate = pick(random, fates)
  return temper === 'mild' && fate === 'accepts, then is silent' ? 'accepts' : fate
}

function fileFate(random: Random, temper: Temper): FileFate {
  const fates: FileFate[] = [
    'is missing once',
    'is missing',
    'lies about its length',
    'is too short',
    'is cut off',
    'expires',
  ]
  // to be cut off for silence takes 30 s
  if (temper === 'wild') fates.push('stalls')
  return pick(random, fates)
}

/** What becomes of the nth call of its kind. */
export function askFate(seed: number, kind: string, call: number, temper: Temper): AskFate {
  const random = seededRandom(seed, `${kind} ${call}`)
  if (temper === 'calm' || random() > 0.12) return 'answers'
  return pick<AskFate>(random, [
    'answers slowly',
    '429',
    '429 with Retry-After',
    '500',
    'resets',
    'is cut off',
    'babbles',
    'floods',
  ])
}
