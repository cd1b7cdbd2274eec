import { randomUUID } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { PartStore } from './parts.ts'
import { callStore, unavailable } from './s3-call.ts'

/** The calls of one put. */
export function createPartStore(
  client: S3Client,
  object: { Bucket: string; Key: string },
  limitMs: number,
): PartStore {
  const put = randomUUID()
  const isThere = async () => {
    const found = await callStore('read', limitMs, (call) => client.send(new HeadObjectCommand(object), call))
    return found.Metadata?.put === put
  }
  return {
    putWhole: (content) =>
      callStore('write', limitMs, (call) =>
        client.send(new PutObjectCommand({ ...object, Body: content }), call),
      ),
    async begin() {
      const command = new CreateMultipartUploadCommand({ ...object, Metadata: { put } })
      const { UploadId } = await callStore('write', limitMs, (call) => client.send(command, call))
      if (UploadId === undefined) throw unavailable('write', 'it told no upload id')
      return UploadId
    },
    async putPart(UploadId, PartNumber, Body) {
      const command = new UploadPartCommand({ ...object, UploadId, PartNumber, Body })
      const { ETag } = await callStore('write', limitMs, (call) => client.send(command, call))
      if (ETag === undefined) throw unavailable('write', 'it told no tag')
      return ETag
    },
    async complete(UploadId, tags) {
      const Parts = tags.map((ETag, index) => ({ ETag, PartNumber: index + 1 }))
      const command = new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts } })
      try {
        await callStore('write', limitMs, (call) => client.send(command, call))
      } catch (error) {
        // Where the answer was lost the repeated call finds no such upload, although the object is there.
        if (!(await isThere().catch(() => false))) throw error
      }
    },
    abort: (UploadId) =>
      callStore('remove', limitMs, (call) =>
        client.send(new AbortMultipartUploadCommand({ ...object, UploadId }), call),
      ),
  }
}
