import { type JobFailureCode, jobFailures } from '../../errors.ts'

/** What the magic words of a prompt ask the sandbox to do; they are cut out of the caption. */
export interface Magic {
  fail: JobFailureCode | null
  pendingSeconds: number
  processingSeconds: number
  missingOutput: boolean
  lostSeconds: number | null
}

/** One row of the documented table. */
export interface MagicWord {
  name: string
  example: string
  effect: string
}

/** The magic words, for the docs. They work anywhere in the prompt, and several may be combined. */
export const magicWords = [
  {
    name: 'fail',
    example: '[sandbox:fail CONTENT_POLICY_VIOLATION]',
    effect: `The job is accepted and then fails with this code: ${Object.keys(jobFailures).join(', ')}.`,
  },
  {
    name: 'pending',
    example: '[sandbox:pending 30]',
    effect:
      'The job stays pending for this many seconds before it is started; it can be cancelled meanwhile.',
  },
  {
    name: 'processing',
    example: '[sandbox:processing 60]',
    effect: 'The job stays in processing for at least this many seconds.',
  },
  {
    name: 'output-404',
    example: '[sandbox:output-404]',
    effect: 'The job succeeds upstream but its output is not there: it fails with OUTPUT_UNAVAILABLE.',
  },
  {
    name: 'lost',
    example: '[sandbox:lost 20]',
    effect:
      'The job is accepted and then never heard of again: it fails with PROVIDER_TIMEOUT after this many seconds.',
  },
] as const satisfies MagicWord[]

// The bound keeps a long prompt full of beginnings from being read once for each of them.
const magicPattern = /\[sandbox:([^\]]{0,200})\]/gi
const longestSeconds = 3600

export type MagicReading = { magic: Magic } | { problem: string }

/** Reads the magic words of all prompts of a request. */
export function readMagic(prompts: string[]): MagicReading {
  const magic: Magic = {
    fail: null,
    pendingSeconds: 0,
    processingSeconds: 0,
    missingOutput: false,
    lostSeconds: null,
  }
  for (const prompt of prompts) {
    for (const [whole, body] of prompt.matchAll(magicPattern)) {
      const [name = '', ...rest] = body!.trim().split(/\s+/)
      const problem = applyWord(magic, name.toLowerCase(), rest.join(' '))
      if (problem !== null) {
        return { problem: `The magic prompt ${whole} is not understood: ${problem}` }
      }
    }
  }
  return { magic }
}

/** The prompt without its magic words, as it is shown. */
export function withoutMagic(prompt: string): string {
  return prompt.replace(magicPattern, ' ').replace(/\s+/g, ' ').trim()
}

function applyWord(magic: Magic, name: string, argument: string): string | null {
  if (name === 'fail') {
    const code = argument.toUpperCase()
    if (!Object.hasOwn(jobFailures, code)) {
      return `write one of ${Object.keys(jobFailures).join(', ')} after "fail".`
    }
    magic.fail = code as JobFailureCode
    return null
  }
  if (name === 'output-404') {
    if (argument !== '') {
      return 'write it as [sandbox:output-404], with nothing after it.'
    }
    magic.missingOutput = true
    return null
  }
  if (name !== 'pending' && name !== 'processing' && name !== 'lost') {
    return `the words are ${magicWords.map((word) => word.example).join(', ')}.`
  }
  const seconds = Number(argument)
  if (!/^\d+(\.\d+)?$/.test(argument) || seconds > longestSeconds) {
    return `write a number of seconds from 0 to ${longestSeconds} after "${name}".`
  }
  const field = (
    { pending: 'pendingSeconds', processing: 'processingSeconds', lost: 'lostSeconds' } as const
  )[name]
  magic[field] = seconds
  return null
}
