import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { Db } from '../db.ts'
import type { CheckOutcome, Provider } from '../providers/provider.ts'
import { withinTime } from '../time-limit.ts'
import { checkSoon, claimChecks, offerToJobs, type Resumed, settleCheck } from './suspensions.ts'

/** How often it is looked whether a check is due or asked for. */
const lookEveryMs = 1_000
const troubleMs = 5_000
const checkLimitMs = 10_000

/** What a server answers to a command that wants a check. */
export type CheckAnswer = Pick<CheckOutcome, 'isWell' | 'isReached' | 'explanation'> & Resumed

interface Context {
  pool: Db
  log: Logger
}

interface Asked {
  id: string
  upstream: string
  mayResume: boolean
}

/**
 * Makes the free checks of upstreams: of suspended ones when their time is over, and those that commands ask for, which
 * have no key. Any number of servers do so side by side.
 */
export function startChecks(
  context: Context,
  serverId: string,
  providers: Provider[],
): { stop(): Promise<void> } {
  const { log } = context
  const checked = providers.filter(({ check }) => check !== undefined)
  const stopping = new AbortController()
  const underWay = new Map<string, Promise<void>>()

  function start(key: string, work: () => Promise<void>): void {
    if (underWay.has(key)) return
    const running = work()
      .catch((error) => log.error({ err: error }, 'a check of an upstream could not be settled'))
      .finally(() => underWay.delete(key))
    underWay.set(key, running)
  }

  const names = { all: providers.map(({ name }) => name), checked: checked.map(({ name }) => name) }

  async function look(): Promise<void> {
    const { asked, isDue } = await readWanted(context.pool, serverId, names.all)
    for (const one of asked) start(one.id, () => answerAsked(context, providers, one))
    if (!isDue) return
    const due = await claimChecks(context.pool, names.checked)
    await offerToJobs(context.pool, names)
    for (const provider of checked) {
      const models = due.get(provider.name)
      if (models !== undefined) start(provider.name, () => checkSuspended(context, provider, models))
    }
  }

  async function run(): Promise<void> {
    await checkSoon(context.pool, names.checked).catch((error) =>
      log.warn({ err: error }, 'suspended upstreams are checked at their time only'),
    )
    while (!stopping.signal.aborted) {
      const waitMs = await look().then(
        () => lookEveryMs,
        (error) => {
          log.warn({ err: error }, 'looking for checks of upstreams failed')
          return troubleMs
        },
      )
      await sleep(waitMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  const running = providers.length === 0 ? Promise.resolve() : run()
  return {
    async stop() {
      stopping.abort()
      await running
      await Promise.all(underWay.values())
    },
  }
}

async function readWanted(
  db: Db,
  serverId: string,
  upstreams: string[],
): Promise<{ asked: Asked[]; isDue: boolean }> {
  const { rows } = await db.query<{ asked: Asked[]; is_due: boolean }>({
    name: 'upstream-checks-wanted',
    text: `
      select
        (select coalesce(json_agg(json_build_object('id', id, 'upstream', upstream, 'mayResume', may_resume)), '[]')
         from upstream_checks where server_id = $1 and answer is null) as asked,
        exists (select from upstream_closures
          where upstream = any($2) and retry_at <= filmgate_now() and (is_probed or not is_checked)) as is_due`,
    values: [serverId, upstreams],
  })
  const { asked, is_due: isDue } = rows[0]!
  return { asked, isDue }
}

async function checkSuspended({ pool, log }: Context, provider: Provider, models: string[]): Promise<void> {
  const outcome = await ask(provider)
  const { resumed, toBeTried } = await settleCheck(pool, provider.name, outcome, models)
  const told = { upstream: provider.name, isWell: outcome.isWell, resumed, toBeTried }
  if (outcome.isWell) log.info(told, 'a suspended upstream was checked, and is well')
  else log.error({ ...told, explanation: outcome.explanation }, 'a suspended upstream is not mended yet')
}

async function answerAsked({ pool }: Context, providers: Provider[], asked: Asked): Promise<void> {
  const provider = providers.find(({ name }) => name === asked.upstream)
  if (provider === undefined) return
  const outcome = await ask(provider)
  const nothing: Resumed = { resumed: 0, toBeTried: 0 }
  const resumed =
    asked.mayResume && outcome.isWell ? await settleCheck(pool, provider.name, outcome) : nothing
  const { isWell, isReached, explanation } = outcome
  const answer: CheckAnswer = { isWell, isReached, explanation, ...resumed }
  await pool.query('update upstream_checks set answer = $2 where id = $1', [asked.id, answer])
}

async function ask(provider: Provider): Promise<CheckOutcome> {
  if (provider.check === undefined) {
    return { isWell: true, isReached: true, explanation: 'There is no free call by which it could be asked.' }
  }
  try {
    return await withinTime(checkLimitMs, async (signal) => provider.check!({ signal }))
  } catch {
    const explanation = `It gave no answer within ${checkLimitMs / 1000} s.`
    return { isWell: false, isReached: false, explanation }
  }
}
