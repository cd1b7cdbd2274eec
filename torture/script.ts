import { between, pick, type Random, seededRandom } from '../src/providers/sandbox/random.ts'

/** What becomes of one submit. In those of `accepting` the upstream makes a task, whatever the gateway hears. */
const accepting = [
  'accepts',
  'accepts slowly',
  'accepts, then 500',
  'accepts, then 504',
  'accepts, then resets',
  'accepts, then is cut off',
  'accepts, then babbles',
  'accepts, then floods',
  'accepts, then names no task',
  'accepts, then is silent',
  'resets, accepts later',
] as const
const refusing = [
  'is busy',
  'is busy for a second',
  'is maintained',
  'refuses the content',
  'refuses the parameters',
] as const
const losing = ['500', '504', 'resets', 'babbles'] as const
export type SubmitFate =
  | (typeof accepting)[number]
  | (typeof refusing)[number]
  | (typeof losing)[number]
  | 'has no credit'

/** What becomes of one call that asks about tasks. */
const asking = [
  'answers slowly',
  'is busy',
  'is busy for a second',
  '500',
  'resets',
  'is cut off',
  'babbles',
  'floods',
  'knows of nothing',
  'says odd words',
] as const
export type AskFate = 'answers' | (typeof asking)[number]

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

export type CallbackHabit = 'each change' | 'none' | 'several times' | 'late' | 'forged'

/** What the upstreams do with one job. */
export interface Script {
  /** Of its submits in turn, wherever they go; behind the last one it is accepted. */
  submits: SubmitFate[]
  workMs: number
  end: 'succeeded' | 'failed' | 'rejected'
  callbacks: CallbackHabit
  file: FileFate
  /** In what a task that has succeeded is paid. */
  bill: 'dollars' | 'yuan' | 'units' | 'nothing'
  /** Look-ups by our own id say that there is none, until it is sent a second time. */
  hides: boolean
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
    end: chance(0.1) ? pick(random, ['failed', 'rejected']) : 'succeeded',
    callbacks: chance(0.6) ? pick(random, ['none', 'several times', 'late', 'forged']) : 'each change',
    file: chance(0.25) ? fileFate(random, temper) : 'is there',
    bill: pick(random, ['dollars', 'dollars', 'yuan', 'units', 'nothing']),
    hides: chance(0.15),
  }
}

function submitFate(random: Random, temper: Temper): SubmitFate {
  const fate = pick<SubmitFate>(random, [...accepting, ...refusing, ...losing])
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
  return temper === 'calm' || random() > 0.12 ? 'answers' : pick(random, asking)
}
