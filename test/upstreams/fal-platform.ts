import { randomUUID } from 'node:crypto'
import type { Body } from './body-schema.ts'
import { falEndpoints } from './fal-endpoints.ts'
import type { Answer, Question } from './protocol-server.ts'

/** What stands beside the queue: uploads and prices. */
export interface FalPlatform {
  /** Where no key is asked: uploads are let in, and read, by who knows their address. */
  answerOpenly(question: Question): Answer | undefined
  answer(question: Question): Answer | undefined
}

// so measured of o3; the others' prices are whole tenths of it too
const microUsdPerUnit = 140_000

/** The units that a request is billed with; of an endpoint without a published price, its seconds. */
export function unitsOf(endpoint: string, body: Body, givenSeconds: number): number {
  const known = falEndpoints.get(endpoint)
  const seconds = known?.secondsOf(body) ?? givenSeconds
  const price = known?.microUsdPerSecond?.(body) ?? microUsdPerUnit
  return Math.round((seconds * price * 10_000) / microUsdPerUnit) / 10_000
}

/** `origin` is where uploads go. */
export function openPlatform(origin: string): FalPlatform {
  const uploads = new Map<string, { type: string; bytes?: Buffer }>()

  function initiate({ url, body }: Question): Answer {
    const { file_name: name, content_type: type } = body as { file_name?: string; content_type?: string }
    const isComplete = name !== undefined && type !== undefined
    if (!isComplete || url.searchParams.get('storage_type') !== 'fal-cdn-v3') {
      return { status: 422, body: { detail: 'storage_type, file_name and content_type are needed' } }
    }
    const path = `/uploads/${randomUUID()}`
    uploads.set(path, { type })
    return { status: 200, body: { upload_url: origin + path, file_url: origin + path } }
  }

  return {
    answerOpenly({ method, url, raw, headers }) {
      const upload = uploads.get(url.pathname)
      if (upload === undefined) return undefined
      if (method === 'PUT' && headers['content-type'] === upload.type) {
        upload.bytes = raw
        return { status: 200 }
      }
      const { bytes, type } = upload
      if (method !== 'GET' || bytes === undefined) return { status: 400, body: { detail: 'Bad Request' } }
      return { status: 200, body: bytes, headers: { 'content-type': type } }
    },
    answer(question) {
      const call = `${question.method} ${question.url.pathname}`
      if (call === 'GET /v1/models/pricing') return prices(question.url)
      return call === 'POST /storage/upload/initiate' ? initiate(question) : undefined
    },
  }
}

function prices({ searchParams }: URL): Answer {
  const ids = searchParams.getAll('endpoint_id').flatMap((some) => some.split(','))
  if (ids.length < 1 || ids.length > 50) {
    return {
      status: 400,
      body: { error: { type: 'validation_error', message: '1 to 50 endpoint_id are needed' } },
    }
  }
  const unknown = ids.find((id) => !falEndpoints.has(id))
  if (unknown !== undefined) {
    return { status: 404, body: { error: { type: 'not_found', message: `${unknown} is not known` } } }
  }
  const priced = ids.filter((id) => falEndpoints.get(id)?.microUsdPerSecond !== undefined)
  const found = priced.map((endpoint_id) => ({
    endpoint_id,
    unit_price: microUsdPerUnit / 1_000_000,
    unit: 'units',
    currency: 'USD',
  }))
  return { status: 200, body: { prices: found, next_cursor: null, has_more: false } }
}
