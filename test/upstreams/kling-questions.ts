import { klingError, success } from './kling-answers.ts'
import { between, formOf, list, oneOf, type Product, record } from './kling-product.ts'
import type { Task } from './kling-tasks.ts'
import type { Answer } from './protocol-server.ts'

type View = (task: Task) => object

const monthMs = 30 * 24 * 60 * 60 * 1000
const time = { anyOf: [{ type: 'integer' }, { type: 'string', pattern: '^[0-9]+$' }] }
const listForm = formOf(
  record({
    start_time: time,
    end_time: time,
    cursor: { type: 'string', pattern: '^[0-9]+$' },
    limit: between(1, 500),
    filters: list(
      record({ key: oneOf('status', 'product_type'), values: list({ type: 'string' }, 10, 1) }, [
        'key',
        'values',
      ]),
      10,
    ),
  }),
)

interface ListBody {
  start_time?: number | string
  end_time?: number | string
  cursor?: string
  limit?: number
  filters?: { key: 'status' | 'product_type'; values: string[] }[]
}

/** GET /tasks: by ids of one kind; what does not exist is left out, and the order is our own. */
export function findTasks(tasks: Task[], query: URLSearchParams, view: View): Answer {
  const [kind, second] = [...query.keys()]
  if ((kind !== 'task_ids' && kind !== 'external_task_ids') || second !== undefined) {
    return klingError(1201, { message: 'exactly one of task_ids and external_task_ids is required' })
  }
  const ids = query.get(kind)!.split(',')
  if (ids.length > 20 || ids.includes('')) return klingError(1201, { message: `${kind}: 1 to 20 ids` })
  const found = tasks.filter(({ id, externalId }) =>
    ids.includes((kind === 'task_ids' ? id : externalId) ?? ''),
  )
  return success(found.toReversed().map(view))
}

/** POST /tasks: newest first, a page at a time. */
export function listTasks(tasks: Task[], given: unknown, now: number, view: View): Answer {
  const fault = listForm(given, '')
  if (fault !== undefined) return klingError(1201, { message: fault })
  const body = given as ListBody
  const end = Number(body.end_time ?? now)
  const start = Number(body.start_time ?? end - monthMs)
  const wanted = tasks.toReversed().filter((task) => {
    const values = { status: task.status, product_type: task.product.kind }
    const isOfTime = task.submittedAt >= start && task.submittedAt <= end
    return isOfTime && (body.filters ?? []).every((filter) => filter.values.includes(values[filter.key]))
  })
  const from = Number(body.cursor ?? 0)
  const result = wanted.slice(from, from + (body.limit ?? 100)).map(view)
  const next = from + result.length
  const hasMore = next < wanted.length
  return success({
    result,
    count: result.length,
    next_cursor: hasMore ? String(next) : '',
    has_more: hasMore,
  })
}

/** GET of one legacy task: by its own id or by the caller's, at the path that made it. */
export function findLegacyTask(tasks: Task[], product: Product, id: string, view: View): Answer {
  const found = tasks.find((task) => task.path === product.path && (task.id === id || task.externalId === id))
  const message = `Task not found by id/external id: ${id}`
  return found === undefined ? klingError(1201, { message }) : success(view(found))
}

/** GET of a legacy list: newest first. */
export function listLegacyTasks(tasks: Task[], product: Product, query: URLSearchParams, view: View): Answer {
  const page = wholeNumber(query.get('pageNum') ?? '1', 1000)
  const size = wholeNumber(query.get('pageSize') ?? '30', 500)
  const odd = [...query.keys()].find((key) => key !== 'pageNum' && key !== 'pageSize')
  if (page === undefined || size === undefined || odd !== undefined) {
    return klingError(1201, { message: 'pageNum must be 1 to 1000 and pageSize 1 to 500' })
  }
  const mine = tasks.filter(({ path }) => path === product.path).toReversed()
  return success(mine.slice((page - 1) * size, page * size).map(view))
}

function wholeNumber(text: string, most: number): number | undefined {
  const number = Number(text)
  return /^\d+$/.test(text) && number >= 1 && number <= most ? number : undefined
}

/** GET /account/costs: an envelope within the envelope, once a second. */
export function costs(query: URLSearchParams, sinceLastMs: number, packs: object): Answer {
  const times = ['start_time', 'end_time'].map((name) => query.get(name) ?? '')
  if (times.some((time) => !/^\d+$/.test(time)) || Number(times[0]) > Number(times[1])) {
    return klingError(1201, { message: 'start_time and end_time are required, in ms' })
  }
  return sinceLastMs < 1000 ? klingError(1302) : success({ code: 0, msg: 'success', ...packs })
}
