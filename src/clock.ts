/** The time of day, passed in wherever a rule depends on it so that tests can set it. */
export interface Clock {
  now(): Date
}

export const systemClock: Clock = { now: () => new Date() }
