import { Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Clock } from '../../clock.ts'
import { callUpstream, type UpstreamAnswer } from '../call.ts'
import type { ExactJson } from '../exact-json.ts'
import { hiding } from '../hide.ts'
import { type CallContext, UpstreamBusy, type UpstreamSettings } from '../provider.ts'
import { staleTokenCodes, treatmentOf } from './errors.ts'
import { createTokens } from './tokens.ts'

/** An answer out of its envelope. `code` is undefined where there was none: another server has answered. */
export interface Answer {
  status: number
  code: number | undefined
  message: string
  data: unknown
  retryAfterMs: number | undefined
}

export interface KlingApi {
  /** The new standard takes a static key only. */
  hasApiKey: boolean
  call(method: 'GET' | 'POST', path: string, context: CallContext, body?: ExactJson): Promise<Answer>
  /** An answer in words, for the operator; without keys, whatever the upstream repeats. */
  told(answer: Answer): Error
  hide(text: string): string
}

const envelope = Type.Object({
  code: Type.Integer(),
  message: Type.Optional(Type.Unknown()),
  data: Type.Optional(Type.Unknown()),
})

/** Calls Kling with the credentials. A token that has run out is replaced once: such an answer says that nothing was done. */
export function createApi(
  { baseUrl, apiKey, accessKey = '', secretKey = '' }: UpstreamSettings,
  clock: Clock,
): KlingApi {
  const hasApiKey = apiKey !== undefined
  const token = hasApiKey ? async () => apiKey : createTokens(accessKey, secretKey, clock)
  const hide = hiding([apiKey, accessKey, secretKey])

  return {
    hasApiKey,
    hide,
    async call(method, path, { signal }, body) {
      const send = async (isRefused: boolean) => {
        const headers = { authorization: `Bearer ${await token(isRefused)}` }
        const url = baseUrl + path
        return read(await callUpstream({ url, method, signal, headers, ...(body !== undefined && { body }) }))
      }
      const answer = await send(false)
      const isStale = !hasApiKey && answer.status === 401 && staleTokenCodes.includes(answer.code)
      return isStale ? send(true) : answer
    },
    told({ status, code, message }) {
      const what = code === undefined ? '' : ` (code ${code})`
      return new Error(`Kling answered ${status}${what}: ${hide(message).slice(0, 200) || 'no reason'}`)
    },
  }
}

function read({ status, json, retryAfterMs }: UpstreamAnswer): Answer {
  const { code, message, data }: { code?: number; message?: unknown; data?: unknown } = Value.Check(
    envelope,
    json,
  )
    ? json
    : {}
  return { status, code, message: typeof message === 'string' ? message : '', data, retryAfterMs }
}

export function isOk({ status, code }: Answer): boolean {
  return status >= 200 && status < 300 && code === 0
}

/** The data of an answer to a question, or thrown: no answer this time. */
export function dataOf(api: KlingApi, answer: Answer): unknown {
  if (isOk(answer)) return answer.data
  if (treatmentOf(answer) === 'busy') throw new UpstreamBusy(answer.retryAfterMs)
  throw api.told(answer)
}
