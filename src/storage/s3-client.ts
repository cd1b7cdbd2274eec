import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { type Clock, systemClock } from '../clock.ts'
import { ConfigError, type S3Settings } from '../config.ts'
import { BodyHash } from './body-hash.ts'
import { faultOf, type StoreFault } from './s3-call.ts'

export interface S3Limits {
  connectMs: number
  /** From the start of one request to the head of its answer. */
  answerMs: number
  /** One call with all its retries. */
  callMs: number
  /** A body of which nothing comes although it is asked for. */
  silenceMs: number
}

// 8 MiB in 60 seconds are 140 kB/s.
export const usualLimits: S3Limits = {
  connectMs: 5_000,
  answerMs: 60_000,
  callMs: 180_000,
  silenceMs: 30_000,
}
const startLimitMs = 15_000

/** The client of one store, which repeats throttled, failed and unanswered requests three times, with jitter. */
export function createS3Client(settings: S3Settings, limits: S3Limits, clock = systemClock): S3Client {
  const client = new S3Client({
    endpoint: settings.endpoint,
    region: settings.region,
    credentials: { accessKeyId: settings.accessKeyId, secretAccessKey: settings.secretAccessKey },
    // a bucket as a part of the host's name needs DNS and certificates that most stores do not have
    forcePathStyle: true,
    retryMode: 'standard',
    maxAttempts: 4,
    // Every body is signed with its SHA-256, which all stores check; the newer checksums some of them refuse.
    sha256: BodyHash,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // asking leave for each part would also open a connection for each
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: limits.connectMs,
      requestTimeout: limits.answerMs,
      throwOnRequestTimeout: true,
      // it would also cut off players that do not read on for a while
      socketTimeout: 0,
      // each film that is being watched holds one; the library's 50 would make everything else wait for them
      httpAgent: { maxSockets: Number.POSITIVE_INFINITY },
      httpsAgent: { maxSockets: Number.POSITIVE_INFINITY },
    },
  })
  signBy(client, clock)
  return client
}

/**
 * Has requests signed with the time of `clock`. The library adds an offset to the process's time, which it sets itself
 * where it learns from an answer that the store's time is another one: that much it stays away from `clock`.
 */
function signBy(client: S3Client, clock: Clock): void {
  const ownOffsetMs = () => -(clock.offsetMs?.() ?? 0)
  let storeOffsetMs = 0
  Object.defineProperty(client.config, 'systemClockOffset', {
    enumerable: true,
    configurable: true,
    get: () => ownOffsetMs() + storeOffsetMs,
    set(offsetMs: number) {
      storeOffsetMs = offsetMs - ownOffsetMs()
    },
  })
}

/** Throws a ConfigError that names the setting at fault unless the bucket is there and may be listed. */
export async function checkBucket(client: S3Client, settings: S3Settings): Promise<void> {
  const ask = async () => {
    await client.send(new ListObjectsV2Command({ Bucket: settings.bucket, MaxKeys: 1 }), {
      abortSignal: AbortSignal.timeout(startLimitMs),
    })
  }
  try {
    // by that answer the library has learnt the store's time
    await ask().catch((error) =>
      faultOf(error).code === 'RequestTimeTooSkewed' ? ask() : Promise.reject(error),
    )
  } catch (error) {
    throw new ConfigError(remedy(settings, faultOf(error)))
  }
}

function remedy({ endpoint, region, bucket }: S3Settings, { code, status }: StoreFault): string {
  if (code === 'NoSuchBucket' || code === 'NotFound') {
    return `S3_BUCKET is "${bucket}", which the store does not have: create it, or name one that is there`
  }
  if (/^(PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException)$/.test(code)) {
    return `S3_REGION is "${region}", which is not where the bucket "${bucket}" lies (${code}): give the bucket's region`
  }
  if (status === 401 || status === 403) {
    return `S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY are refused for the bucket "${bucket}" (${code}): give a key that may list, read, write and delete there`
  }
  const answer = status === 0 ? `cannot be reached (${code})` : `answers with ${code}, status ${status}`
  return `S3_ENDPOINT is "${endpoint}", which ${answer}: give the address of an S3-compatible store that runs`
}
