import { type Static, type TSchema, Type } from 'typebox'
import { Value } from 'typebox/value'
import { pollEach } from '../poll-each.ts'
import type { CallContext, FindOutcome, Json, PollOutcome } from '../provider.ts'
import { type Answer, dataOf, isOk, type KlingApi } from './api.ts'
import { billedOf, legacyBilledOf } from './billing.ts'
import { type LegacyPath, legacyPaths } from './models.ts'

/** What a job is known by. `path` is set in the legacy standard; `elementsOf`: elements were made under this job's id. */
export interface Operation {
  id: string
  path?: LegacyPath
  elementsOf?: string
}

const id = Type.String({ pattern: '^[\\w-]{1,128}$' })
/** As it comes: a number that is no id, such as 1e21, would be one that no question could be asked with. */
const givenId = Type.Union([id, Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })])
const storedOperation = Type.Object({
  id,
  path: Type.Optional(Type.Enum([...legacyPaths])),
  elementsOf: Type.Optional(Type.String()),
})

const created = Type.Object({ id: givenId })
const createdBefore = Type.Object({ task_id: givenId })

const task = Type.Object({
  id: givenId,
  status: Type.String(),
  message: Type.Optional(Type.Unknown()),
  outputs: Type.Optional(Type.Unknown()),
  billing: Type.Optional(Type.Unknown()),
  external_id: Type.Optional(Type.Unknown()),
})
const legacyTask = Type.Object({
  task_id: givenId,
  task_status: Type.String(),
  task_status_msg: Type.Optional(Type.Unknown()),
  task_result: Type.Optional(Type.Unknown()),
  task_info: Type.Optional(Type.Unknown()),
})
const outputs = Type.Array(Type.Object({ type: Type.String(), url: Type.Optional(Type.Unknown()) }))
const legacyResult = Type.Object({
  videos: Type.Array(Type.Object({ url: Type.Optional(Type.Unknown()) })),
})

const named = Type.Object({ external_task_id: Type.String({ minLength: 1 }) })

/** Whether the legacy standard says of a task that it has another id of ours than the one that was asked for. */
export function isNamedOtherwise(info: unknown, name: string): boolean {
  return Value.Check(named, info) && info.external_task_id !== name
}

export function readOperation(operation: Json): Operation {
  return Value.Parse(storedOperation, operation)
}

/** The id in the answer to a submit; undefined where there is none that can be used. */
export function createdId(data: unknown, path: LegacyPath | undefined): string | undefined {
  if (path === undefined) return Value.Check(created, data) ? String(data.id) : undefined
  return Value.Check(createdBefore, data) ? String(data.task_id) : undefined
}

const modernCallback = Type.Object({
  id: task.properties.id,
  external_id: Type.Optional(Type.Unknown()),
})
const legacyCallback = Type.Object({
  task_id: legacyTask.properties.task_id,
  task_info: Type.Optional(Type.Object({ external_task_id: Type.Optional(Type.Unknown()) })),
})

/** The task that a callback's body is about, and our own id of the job as it says it; undefined if it is about none. */
export function calledBack(
  body: unknown,
  legacyPath: LegacyPath,
): { operation: Operation; jobId: unknown } | undefined {
  if (Value.Check(modernCallback, body)) {
    return { operation: { id: String(body.id) }, jobId: body.external_id }
  }
  if (!Value.Check(legacyCallback, body)) return undefined
  return {
    operation: { id: String(body.task_id), path: legacyPath },
    jobId: body.task_info?.external_task_id,
  }
}

/**
 * One question for all jobs of the new standard, one each for those of the legacy one. If only some have no answer, these
 * count as running: the others' answers are not thrown away.
 */
export async function pollTasks(
  api: KlingApi,
  operations: Operation[],
  context: CallContext,
): Promise<PollOutcome[]> {
  const ids = operations.filter(({ path }) => path === undefined).map((operation) => operation.id)
  const modern = ids.length === 0 ? undefined : askTasks(api, `task_ids=${ids.join(',')}`, context)
  // asked once, for all that wait for it
  return pollEach(operations, async ({ id: taskId, path }) =>
    path === undefined
      ? outcomeOf(
          api,
          pick((await modern) ?? [], (found) => String(found.id) === taskId),
        )
      : legacyOutcomeOf(api, await askLegacy(api, `${path}/${taskId}`, context)),
  )
}

/**
 * Looks a job up by our own id, which is the external one. What is answered under another one is no answer: its film is
 * another customer's.
 */
export async function findTask(
  api: KlingApi,
  jobId: string,
  path: LegacyPath | undefined,
  context: CallContext,
): Promise<FindOutcome> {
  if (path !== undefined) {
    const found = await askLegacy(api, `${path}/${jobId}`, context)
    if (found === undefined) return { outcome: 'absent' }
    const { task_id, task_info } = read(legacyTask, found)
    if (isNamedOtherwise(task_info, jobId)) throw unusable()
    return { outcome: 'found', operation: { id: String(task_id), path } }
  }
  const tasks = await askTasks(api, `external_task_ids=${jobId}`, context)
  const isSole = tasks.length === 1
  const found = pick(tasks, ({ external_id: name }) => name === jobId || (isSole && !name))
  if (found === undefined && tasks.length > 0) throw unusable()
  return found === undefined
    ? { outcome: 'absent' }
    : { outcome: 'found', operation: { id: String(found.id) } }
}

type Task = Static<typeof task>

/** What can't be read of the list is undefined: it must not hide the others. */
async function askTasks(api: KlingApi, query: string, context: CallContext): Promise<(Task | undefined)[]> {
  const data = dataOf(api, await api.call('GET', `/tasks?${query}`, context))
  return read(Type.Array(Type.Unknown()), data).map((item) => (Value.Check(task, item) ? item : undefined))
}

/** Undefined if it is not there; what can't be read may be it, and then there is no answer. */
function pick(tasks: (Task | undefined)[], isWanted: (found: Task) => boolean): Task | undefined {
  const found = tasks.find((item) => item !== undefined && isWanted(item))
  if (found === undefined && tasks.includes(undefined)) throw unusable()
  return found
}

/** A resource of the legacy standard; undefined: there is none. */
export async function askLegacy(api: KlingApi, path: string, context: CallContext): Promise<unknown> {
  const answer = await api.call('GET', path, context)
  return isAbsent(answer) ? undefined : dataOf(api, answer)
}

// not 404/1203, though the table has that for a missing resource
function isAbsent(answer: Answer): boolean {
  return !isOk(answer) && answer.status === 400 && answer.code === 1201
}

function read<T extends TSchema>(schema: T, data: unknown): Static<T> {
  if (Value.Check(schema, data)) return data
  throw unusable()
}

function unusable(): Error {
  return new Error('Kling answered nothing that can be used')
}

function outcomeOf(api: KlingApi, found: Task | undefined): PollOutcome {
  if (found === undefined) return { status: 'absent' }
  const made = Value.Check(outputs, found.outputs) ? found.outputs : []
  const urls = made.filter(({ type }) => type === 'video').map(({ url }) => url)
  return ended(api, { status: found.status, message: found.message, urls }, billedOf(found.billing))
}

function legacyOutcomeOf(api: KlingApi, data: unknown): PollOutcome {
  if (data === undefined) return { status: 'absent' }
  const { task_status, task_status_msg, task_result, ...rest } = read(legacyTask, data)
  const urls = Value.Check(legacyResult, task_result) ? task_result.videos.map(({ url }) => url) : []
  return ended(api, { status: task_status, message: task_status_msg, urls }, legacyBilledOf(rest))
}

/** The two standards spell success differently. */
function ended(
  api: KlingApi,
  { status, message, urls }: { status: string; message: unknown; urls: unknown[] },
  billed: ReturnType<typeof billedOf>,
): PollOutcome {
  const told = billed === undefined ? {} : { billed: { ...billed, statement: hideIn(api, billed.statement) } }
  if (status === 'failed') {
    const reason = api.hide(typeof message === 'string' ? message : '')
    return { status: 'failed', ...failureOf(reason), ...told }
  }
  const films = urls.filter((url) => typeof url === 'string' && url !== '')
  if (!['succeeded', 'succeed'].includes(status) || films.length === 0) return { status: 'running' }
  return {
    status: 'succeeded',
    outputs: films.map((url) => ({ type: 'video' as const, source: { url: url as string } })),
    ...told,
  }
}

function hideIn(api: KlingApi, statement: Json): Json {
  return JSON.parse(JSON.stringify(statement), (_, part) =>
    typeof part === 'string' ? api.hide(part) : part,
  ) as Json
}

/**
 * Kling gives no code for the failure of a task that it had taken. The text only decides between two codes that mean the
 * same for money and for what happens next.
 */
export function failureOf(reason: string) {
  const isPolicy = /\brisk\b|sensitive|polic(y|ies)|moderat|prohibited|violat|inappropriate/i.test(reason)
  if (!isPolicy) {
    return { code: 'GENERATION_FAILED' as const, message: 'The model could not make the video.' }
  }
  // without what a terminal would obey, or would turn the text around
  const quote = reason
    .replaceAll(/[\s\p{C}]+/gu, ' ')
    .trim()
    .slice(0, 160)
  return {
    code: 'CONTENT_POLICY_VIOLATION' as const,
    message: `The content check of the model has stopped it: "${quote}"`,
  }
}
