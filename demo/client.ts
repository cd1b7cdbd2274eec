import { createWriteStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'

export interface Job {
  status: 'pending' | 'processing' | 'completed' | 'failed' | 'cancelled'
  output: string | null
  error: { code: string; message: string } | null
}

export interface Submitted {
  jobId: string
  estimatedCompletionTime: string
  costMicroCents: number
}

/** The few calls of the API that the demo makes, with plain fetch. */
export function createClient(url: string, key: string) {
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`)
    return JSON.parse(text) as T
  }
  return {
    submit: (body: unknown) => call<Submitted>('POST', '/v1/jobs/submit', body),
    get: (jobId: string) => call<Job>('GET', `/v1/jobs/${jobId}`),
    async upload(filename: string, contentType: string, bytes: Buffer): Promise<string> {
      const { data } = await call<{ data: { uploadUrl: string; fileUrl: string } }>(
        'POST',
        '/v1/uploads/presign',
        {
          filename,
          contentType,
        },
      )
      const put = await fetch(data.uploadUrl, {
        method: 'PUT',
        headers: { 'content-type': contentType },
        body: new Uint8Array(bytes),
      })
      if (!put.ok) throw new Error(`the upload answered ${put.status}: ${await put.text()}`)
      return data.fileUrl
    },
    async download(fileUrl: string, path: string): Promise<void> {
      const answer = await fetch(fileUrl)
      if (!answer.ok || answer.body === null) throw new Error(`the file answered ${answer.status}`)
      await pipeline(Readable.fromWeb(answer.body as ReadableStream), createWriteStream(path))
    },
  }
}
