import { setTimeout as sleep } from 'node:timers/promises'

export interface Callback {
  url: string
  headers: Record<string, string>
  body: string
  /** What the receiver answered; 0 if it could not be reached. */
  status: number
}

/** How often, for how long and at which gaps an upstream tries; the gaps are short here, there they are minutes. */
export interface Persistence {
  attempts: number
  timeoutMs: number
  gapMs: number
}

/** Posts until it is taken or the attempts are used up; each attempt is signed anew and noted. */
export async function callBack(
  url: string,
  body: string,
  sign: (body: string) => Record<string, string>,
  { attempts, timeoutMs, gapMs }: Persistence,
  note: (callback: Callback) => void,
  stopped: AbortSignal,
): Promise<void> {
  for (let attempt = 1; attempt <= attempts && !stopped.aborted; attempt++) {
    const headers = { 'content-type': 'application/json', ...sign(body) }
    const signal = AbortSignal.any([stopped, AbortSignal.timeout(timeoutMs)])
    const status = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' }).then(
      (response) => response.status,
      () => 0,
    )
    note({ url, headers, body, status })
    if (status >= 200 && status < 300) return
    await sleep(gapMs, undefined, { ref: false, signal: stopped }).catch(() => {})
  }
}
