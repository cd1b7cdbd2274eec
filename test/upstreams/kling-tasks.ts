import { randomUUID } from 'node:crypto'
import type { Elements } from './kling-elements.ts'
import { picturesOf } from './kling-legacy.ts'
import type { Order, Product } from './kling-product.ts'
import type { Work } from './line.ts'

export interface Output {
  id?: string
  url: string
  watermark_url?: string
  duration?: string
}

export interface Billing {
  charge_type: 'cash' | 'unit'
  cash_type?: 'balance' | 'test_balance'
  amount: string
  currency?: 'CNY' | 'USD'
  package_type: 'video' | 'image' | 'audio'
  list_price?: string
}

/** How one submit goes; asked for each valid submit. Without any of it the task has succeeded at the next question. */
export interface Behaviour {
  /** A documented error; nothing is created. Status and message are the table's unless given. */
  refuse?: { code: number; status?: number; message?: string; headers?: Record<string, string> }
  /** The connection is cut before anything was created, or after the task was. */
  lose?: 'before' | 'after'
  /** The task is created, and the answer is an error. */
  crash?: { code: number; status?: number; message?: string }
  /** From submit to its end. */
  takesMs?: number
  /** It ends as failed, with this text. */
  fail?: string
  outputs?: Output[]
  billing?: Billing[]
}

export type Status = 'submitted' | 'processing' | 'succeeded' | 'failed'

/** What a valid submit created. */
export interface Task extends Work {
  id: string
  externalId?: string
  product: Product
  order: Order
  path: string
  /** With every digit: integers beyond 2^53 are bigint. */
  body: unknown
  status: Status
  updatedAt: number
  behaviour: Behaviour
  outputs: Output[]
  elementId?: string
}

/** A task that has just been accepted. */
export function newTask(
  product: Product,
  order: Order,
  body: unknown,
  behaviour: Behaviour,
  now: number,
): Task {
  return {
    id: String(900_000_000_000_000_000n + BigInt(`0x${randomUUID().slice(0, 8)}`)),
    ...(order.externalId !== undefined && { externalId: order.externalId }),
    product,
    order,
    path: product.path,
    body,
    status: 'submitted',
    submittedAt: now,
    updatedAt: now,
    takesMs: behaviour.takesMs ?? 0,
    behaviour,
    outputs: [],
  }
}

/** What a task brings if nothing else was told: one film, or as many pictures as were ordered. */
export function usualOutputs({ id, product, order, body }: Task, base: string): Output[] {
  if (product.kind === 'element') return []
  const count = product.kind === 'video' ? 1 : picturesOf(body as object)
  return Array.from({ length: count }, (_, index) => {
    const name = `${id}-${index}.${product.kind === 'video' ? 'mp4' : 'png'}`
    return {
      url: `${base}/files/${name}`,
      watermark_url: order.watermark ? `${base}/files/watermarked-${name}` : '',
      ...(product.kind === 'video' && { id: `${id}${index}`, duration: order.duration }),
    }
  })
}

/** The answer to a submit, each generation in its own words. */
export function receiptOf({ id, product, externalId, status, submittedAt, updatedAt }: Task): object {
  if (product.generation === 'new') {
    const named = externalId !== undefined && { external_id: externalId }
    return { id, status, create_time: submittedAt, update_time: updatedAt, ...named }
  }
  const info = { task_info: externalId === undefined ? {} : { external_task_id: externalId } }
  return { task_id: id, task_status: status, ...info, created_at: submittedAt, updated_at: updatedAt }
}

/** The whole task, as a question or a callback shows it. */
export function taskView(task: Task, elements: Elements, parent: Output | undefined): object {
  const { product, status, behaviour, outputs } = task
  const message = status === 'failed' ? (behaviour.fail ?? '') : ''
  const receipt = receiptOf(task)
  if (product.generation === 'new') {
    const typed = outputs.map((output) => ({ type: 'video', ...output }))
    return { ...receipt, message, outputs: typed, billing: billingOf(task) }
  }
  return {
    ...receipt,
    task_status: status === 'succeeded' ? 'succeed' : status,
    task_status_msg: message,
    task_info: {
      ...(parent && { parent_video: parent }),
      ...(task.externalId && { external_task_id: task.externalId }),
    },
    task_result: resultOf(task, elements),
    watermark_info: { enabled: task.order.watermark },
    ...deductionsOf(task),
  }
}

function billingOf({ status, behaviour, product }: Task): Billing[] {
  if (status !== 'succeeded' || product.kind === 'element') return behaviour.billing ?? []
  const price = { amount: '0.70', currency: 'USD', list_price: '0.70' } as const
  return (
    behaviour.billing ?? [{ charge_type: 'cash', cash_type: 'balance', ...price, package_type: product.kind }]
  )
}

// The legacy standard has a field each for what was paid in units and in money.
function deductionsOf(task: Task): object {
  const billing = billingOf(task)
  const units = billing.find(({ charge_type: type }) => type === 'unit')
  const cash = billing.find(({ charge_type: type }) => type === 'cash')
  return {
    final_unit_deduction: units?.amount ?? '0',
    ...(cash && {
      final_balance_deduction: { quota: cash.amount, list_price: cash.list_price ?? cash.amount },
    }),
  }
}

function resultOf({ product, status, outputs, elementId, body, path }: Task, elements: Elements): object {
  if (status !== 'succeeded') return {}
  if (elementId !== undefined) return { elements: elements.show(elementId) }
  if (product.kind === 'video') return { videos: outputs }
  const images = outputs.map((output, index) => ({ index, ...output }))
  if (path !== '/v1/images/omni-image') return { images }
  const type = (body as { result_type?: string }).result_type ?? 'single'
  return type === 'series' ? { result_type: type, series_images: images } : { result_type: type, images }
}
