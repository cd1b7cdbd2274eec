import { CallFailed } from '../call.ts'
import type { CallContext, CheckOutcome } from '../provider.ts'
import { type Answer, isOk, type KlingApi } from './api.ts'

const remedies: Record<number, string> = {
  1000: 'The key is wrong: set KLING_API_KEY, or KLING_ACCESS_KEY and KLING_SECRET_KEY, as the console at kling.ai/dev shows them.',
  1001: 'The credentials did not arrive: does something between this server and KLING_BASE_URL take headers away?',
  1002: 'The key is not valid: it may have been deleted, or be of the other region; keys and KLING_BASE_URL belong together.',
  1003: "The token is not valid yet: the database's clock is fast, and tokens are made by it; set it right.",
  1004: "The token has expired: the database's clock is slow, and tokens are made by it; set it right.",
  1100: 'Something is wrong with the account: ask the vendor.',
  1101: 'The account is in arrears: pay, and it goes on by itself.',
  1102: 'The resource pack is used up or has expired: buy one; packs of videos and of pictures are apart.',
  1103: 'The account may not use this: have it enabled.',
  1304: "The address of this server is not on the account's list of allowed ones: add it in the console.",
}

/** One free question, with the credentials that jobs are sent with. */
export async function check(api: KlingApi, context: CallContext): Promise<CheckOutcome> {
  const path = api.hasApiKey ? '/tasks?task_ids=1' : '/v1/videos/text2video?pageNum=1&pageSize=1'
  const asked = `Asked for ${api.hasApiKey ? 'a task that does not exist (GET /tasks)' : 'the newest task (GET /v1/videos/text2video)'}`
  try {
    const answer = await api.call('GET', path, context)
    if (!isOk(answer))
      return { isWell: false, isReached: true, explanation: `${asked}: ${explain(api, answer)}` }
    const reach = api.hasApiKey
      ? ''
      : ' Access key and secret reach the legacy API only: KLING_API_KEY reaches both, and is the better choice.'
    return {
      isWell: true,
      isReached: true,
      explanation: `${asked}: the credentials are good.${reach}`,
      // questions are answered without credit too
      proves: ['key'],
    }
  } catch (error) {
    const what = error instanceof CallFailed ? error.message : 'the question could not be asked'
    return {
      isWell: false,
      isReached: false,
      explanation: `${asked}: ${what}. Is KLING_BASE_URL right, and may this server reach it?`,
    }
  }
}

function explain(api: KlingApi, answer: Answer): string {
  const { message } = api.told(answer)
  if (answer.code === undefined) {
    return `${message}. That is not how Kling answers: is KLING_BASE_URL right? It is https://api-singapore.klingai.com, or https://api-beijing.klingai.com in China.`
  }
  return `${message}. ${remedies[answer.code] ?? 'Try again in a while; if it stays, ask the vendor.'}`
}
