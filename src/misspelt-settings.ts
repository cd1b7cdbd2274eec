import leven from 'leven'
import { loadConfig } from './config.ts'

/** Of the customer's commands, which read no other setting. */
const customerSettings = ['FILMGATE_URL', 'FILMGATE_API_KEY']

/** Every variable that is read: what loadConfig asks an empty environment for. */
export function knownSettings(): string[] {
  const names = new Set(customerSettings)
  const recording = new Proxy<NodeJS.ProcessEnv>(
    {},
    {
      get(_target, name) {
        names.add(String(name))
        return undefined
      },
    },
  )
  loadConfig(recording)
  return [...names]
}

/** A name as short as PORT is near to too many others. */
const shortest = 8
const mostTypos = 2

/**
 * One line for each variable that is set and looks like a setting, but is none: all that begin with FILMGATE_, and what
 * is near to another setting. A value is never shown.
 */
export function misspeltSettings(environment: NodeJS.ProcessEnv): string[] {
  const known = knownSettings()
  return Object.keys(environment)
    .filter((name) => environment[name]?.trim() && !known.includes(name))
    .flatMap((name) => {
      const guess = nearestSetting(name, known)
      if (guess !== undefined) return [`${name} is not a setting and is not read: did you mean ${guess}?`]
      return /^FILMGATE_/i.test(name)
        ? [`${name} is not a setting and is not read: README.md lists the settings`]
        : []
    })
}

function nearestSetting(name: string, known: string[]): string | undefined {
  const upper = name.toUpperCase()
  // PORT and the like are read without it
  const bare = upper.replace(/^FILMGATE_/, '')
  if (bare !== upper && known.includes(bare)) return bare
  const ranked = known
    .map((setting) => ({ setting, typos: typosIn(upper, setting) }))
    .filter(({ typos }) => typos !== undefined)
    .sort((a, b) => a.typos! - b.typos!)
  return ranked[0]?.setting
}

const families = /^(FILMGATE|S3|[A-Z]+(?=_(?:API_KEY|ACCESS_KEY|SECRET_KEY|BASE_URL|WEBHOOK_SECRET)$))_(.+)$/

/** How far a name is from a setting; undefined where it is too far to be meant. */
function typosIn(name: string, setting: string): number | undefined {
  const [, family, rest = ''] = families.exec(setting) ?? []
  // names of one family, such as S3_… or KLING_…, are ours alone: more of the rest may be wrong
  if (family !== undefined && name.startsWith(`${family}_`)) {
    const own = name.slice(family.length + 1)
    const isPart = own.length > 2 && (rest.startsWith(own) || rest.endsWith(own) || own.startsWith(rest))
    const typos = isPart ? 1 : leven(own, rest)
    return typos <= Math.max(mostTypos, rest.length / 2) ? typos : undefined
  }
  const typos = leven(name, setting)
  return setting.length >= shortest && typos <= mostTypos ? typos : undefined
}
