// Commas and semicolons within quotes divide nothing; a quote that is not closed goes to the end.
const element = /(?:"(?:[^"\\]|\\.)*"?|[^",])+/g
// Written so that spaces can be matched in one way only: in a header full of them every second way would be tried.
const preference = /^\s*([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"(\d*)"|([^\s";]+)|(?=;|$)))?\s*(?:;|$)/

const longestWaitSeconds = 60

/** What a client prefers (RFC 7240) of what a submit knows. */
export interface Preferences {
  /** For how long to wait for the end of the job, in whole seconds up to 60. */
  waitSeconds?: number
  /** Not to wait; it gives way to waiting for some seconds. */
  respondAsync?: true
}

/** Reads the header Prefer. What is unknown or malformed in it is ignored, and of two of a name the second, as the RFC says. */
export function readPreferences(header: string | string[] | undefined): Preferences {
  const found = new Map<string, string>()
  for (const [text] of [header ?? []].flat().join(',').matchAll(element)) {
    const [, name, quoted, plain] = preference.exec(text) ?? []
    const key = name?.toLowerCase()
    if (key !== undefined && !found.has(key)) found.set(key, quoted ?? plain ?? '')
  }
  const wait = found.get('wait') ?? ''
  return {
    ...(/^\d+$/.test(wait) && { waitSeconds: Math.min(Number(wait), longestWaitSeconds) }),
    ...(found.has('respond-async') && { respondAsync: true }),
  }
}

/** The preferences as they were followed, for the header Preference-Applied. */
export function applied({ waitSeconds, respondAsync }: Preferences): string | undefined {
  if (waitSeconds !== undefined) return `wait=${waitSeconds}`
  return respondAsync && 'respond-async'
}
