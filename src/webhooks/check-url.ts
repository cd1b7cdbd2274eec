import { ApiError } from '../errors.ts'
import type { Outbound } from '../outbound.ts'

/** The URL as it will be called; throws INVALID_WEBHOOK_URL, naming the request's `field`. */
export async function checkWebhookUrl(
  outbound: Outbound,
  webhookUrl: string,
  field: string,
): Promise<string> {
  const refuse = (message: string) => new ApiError('INVALID_WEBHOOK_URL', `${field}: ${message}`)
  const checked = outbound.check(webhookUrl, ['https:'])
  if (!checked.ok) throw refuse(checked.message)
  const resolved = await outbound.resolve(checked.url.hostname)
  if (resolved.outcome === 'refused') throw refuse('The URL must point to a public address.')
  if (resolved.outcome === 'unresolved') throw refuse('The host name does not resolve.')
  return checked.url.href
}
