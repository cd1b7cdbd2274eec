import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { buildApp } from 'fauxqs'
import type { S3Settings } from '../src/config.ts'
import { signatureFault } from './s3-signature.ts'

/** May answer in place of the store, or cut the connection (true), or let the store work and lose its answer. */
export type Meddle = (request: IncomingMessage, response: ServerResponse) => boolean | 'lose the answer'

export interface S3Server {
  /** A bucket of its own for each caller. */
  newBucket(): Promise<S3Settings>
  /** Uploads that were begun and neither completed nor aborted. */
  openUploads(bucket: string): number
  meddle: Meddle
  stop(): Promise<void>
}

const keys = { accessKeyId: 'filmgate-key', secretAccessKey: 'filmgate-secret' }
let buckets = 0

/** A real S3 server on loopback, behind a front that checks signatures and can be told to fail. */
export async function startS3Server(): Promise<S3Server> {
  const store = buildApp({ logger: false })
  const uploads = new Map<string, string>()
  store.addHook('onSend', async (request, reply, payload) => {
    const { uploads: begun, uploadId, partNumber } = request.query as Record<string, string | undefined>
    const id = begun === undefined ? uploadId : /<UploadId>([^<]+)</.exec(String(payload))?.[1]
    if (id === undefined || partNumber !== undefined || reply.statusCode >= 300) return
    if (begun === undefined) uploads.delete(id)
    else uploads.set(id, (request.params as { bucket: string }).bucket)
  })
  const storeUrl = await store.listen({ host: '127.0.0.1', port: 0 })
  const front = createServer((request, response) => {
    request.on('error', () => {})
    response.on('error', () => {})
    const meddled = server.meddle(request, response)
    if (meddled === true) return
    const pass = async () => {
      const body = await buffer(request)
      const fault = signatureFault(request, body, keys)
      if (fault !== undefined) s3Error(response, 403, fault)
      else forward(storeUrl, request, body, response, meddled === 'lose the answer')
    }
    pass().catch(() => response.destroy())
  })
  await once(front.listen(0, '127.0.0.1'), 'listening')
  const endpoint = `http://127.0.0.1:${(front.address() as AddressInfo).port}`
  const server: S3Server = {
    meddle: () => false,
    openUploads: (bucket) => [...uploads.values()].filter((of) => of === bucket).length,
    async newBucket() {
      const bucket = `films-${++buckets}`
      await fetch(`${storeUrl}/${bucket}`, { method: 'PUT', body: Buffer.alloc(0) })
      return {
        endpoint,
        region: 'us-east-1',
        bucket,
        ...keys,
      }
    },
    async stop() {
      front.closeAllConnections()
      front.close()
      await store.close()
    },
  }
  return server
}

/** An error as S3 writes it, with the fields that a log should not get. */
export function s3Error(response: ServerResponse, status: number, code: string): true {
  response.writeHead(status, { 'content-type': 'application/xml', connection: 'close' })
  response.end(
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>No.</Message><AWSAccessKeyId>filmgate-key</AWSAccessKeyId><StringToSign>what was signed</StringToSign><RequestId>r1</RequestId></Error>`,
  )
  return true
}

function forward(
  origin: string,
  { url, method, headers }: IncomingMessage,
  body: Buffer,
  response: ServerResponse,
  isLost: boolean,
): void {
  const upstream = httpRequest(origin + url, { method, headers })
  upstream.on('response', (answer) => {
    if (isLost) {
      answer.resume().on('end', () => response.destroy())
      return
    }
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(response)
  })
  upstream.on('error', () => response.destroy())
  upstream.end(body)
}
