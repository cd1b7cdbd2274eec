import { readFileSync } from 'node:fs'

/** The guides in the order of the navigation: name of the file, title, and one sentence. */
const titles: [string, string, string][] = [
  [
    'index',
    'Overview',
    'One HTTP API in front of generative video and image models: exact prices, files that stay, failed jobs refunded.',
  ],
  ['quickstart', 'Quickstart', 'From nothing to a finished video in four requests.'],
  ['authentication', 'Authentication', 'API keys, scopes, allowed addresses, expiry, test and live keys.'],
  ['jobs', 'Jobs', 'What happens to a job between submit and the finished file.'],
  ['pricing', 'Pricing and quotes', 'How a price is made, how to know it beforehand, and how to cap it.'],
  ['errors', 'Errors', 'Every error code with its meaning and remedy, and why jobs fail.'],
  ['webhooks', 'Webhooks', 'Be told when a job has ended: payload, signatures, retries, rotation.'],
  ['test-mode', 'Test mode', 'Render jobs without spending money, and force every failure.'],
  ['idempotency', 'Idempotency and retries', 'Send a request again without paying twice.'],
  ['uploads', 'Uploads', 'Use pictures, videos and sounds of your own as input.'],
  ['limits', 'Limits', 'Rate limits, unfinished jobs at once, and sizes.'],
  ['models-and-versions', 'Models and versions', 'How models are named, versioned and shown to whom.'],
]

export interface Guide {
  path: string
  title: string
  description: string
  source: string
}

/** Reads the guides, which are Markdown with `{{facts}}` in them. */
export function loadGuides(): Guide[] {
  return titles.map(([name, title, description]) => ({
    path: name === 'index' ? '/docs' : `/docs/${name}`,
    title,
    description,
    source: readFileSync(`${import.meta.dirname}/guides/${name}.md`, 'utf8'),
  }))
}

export type Facts = Record<string, (argument: string) => string>

/** Puts the facts in: `{{name argument}}`. One that is not known is a mistake in the guide. */
export function fillIn(source: string, facts: Facts): string {
  return source.replace(
    /\{\{([\w-]+)(?: ((?:[^{}]|\{\w+\})+))?\}\}/g,
    (whole, name: string, argument = '') => {
      const fact = facts[name]
      if (fact === undefined) throw new Error(`a guide asks for ${whole}, which is not known`)
      return fact(argument)
    },
  )
}
