import { randomUUID } from 'node:crypto'
import { format, parse } from 'node:path'
import { dollars } from '../dollars.ts'
import { type Api, openApi } from './api.ts'
import { PassingTrouble } from './exchange.ts'
import { type Field, type FileField, toInput, type ValueField } from './fields.ts'
import { CommandFailed, print, table } from './output.ts'
import { findPictureField } from './picture-field.ts'
import { createProgress, type Progress } from './progress.ts'
import { download, openUpload, requireWritable, upload } from './transfer.ts'
import { type Job, type Submitted, waitForJob } from './wait.ts'

export interface SubmitOptions {
  image?: string
  webhook?: string
  maxCost?: bigint
  usd?: bigint
  idempotencyKey?: string
  version?: string
  metadata?: Record<string, string>
  wait?: boolean
  out?: string
  force?: boolean
  json?: boolean
}

/** Submits a job as the options say. What can be seen to be wrong here is, before anything is sent or charged. */
export async function submit(model: string, fields: Field[], options: SubmitOptions): Promise<void> {
  const api = openApi(process.env)
  if (options.out !== undefined) await requireWritable(options.out, options.force ?? false)
  const input = toInput(await uploadFiles(api, [...fields, ...(await pictureField(api, model, options))]))
  const submitted = await send(api, model, input, options)
  if (options.wait || options.out !== undefined) return await finish(api, submitted, options)
  print(
    options,
    submitted,
    table([
      ['job', submitted.jobId],
      ['cost', dollars(submitted.costMicroCents)],
      ['expected', submitted.estimatedCompletionTime],
    ]),
  )
}

async function pictureField(api: Api, model: string, options: SubmitOptions): Promise<FileField[]> {
  if (options.image === undefined) return []
  return [{ ...(await findPictureField(api, model, options.version)), file: options.image }]
}

async function uploadFiles(api: Api, fields: Field[]): Promise<ValueField[]> {
  // all are looked at before the first is sent
  const opened = await Promise.all(
    fields.map(async (field) =>
      'file' in field ? { ...field, upload: await openUpload(field.file) } : field,
    ),
  )
  const values: ValueField[] = []
  for (const field of opened) {
    values.push('upload' in field ? { ...field, value: await upload(api, field.upload) } : field)
  }
  return values
}

/** Says after the last lost answer with which idempotency key the job is still charged once only. */
async function send(
  api: Api,
  model: string,
  input: Record<string, unknown>,
  options: SubmitOptions,
): Promise<Submitted> {
  const idempotencyKey = options.idempotencyKey ?? randomUUID()
  const { version, webhook, metadata, maxCost } = options
  try {
    return await api.call('POST', '/v1/jobs/submit', {
      headers: { 'idempotency-key': idempotencyKey },
      body: {
        model,
        version,
        input,
        webhookUrl: webhook,
        metadata,
        maxCostMicroCents: maxCost === undefined ? undefined : Number(maxCost),
      },
    })
  } catch (error) {
    if (!(error instanceof PassingTrouble)) throw error
    const advice = `to try again without being charged twice, add --idempotency-key ${idempotencyKey}`
    throw new CommandFailed(`${error.message}; ${advice}`)
  }
}

async function finish(api: Api, submitted: Submitted, options: SubmitOptions): Promise<void> {
  const interrupt = new AbortController()
  // stays: the library that draws the bar ends the process at once where nobody else listens
  process.on('SIGINT', () => interrupt.abort())
  const { jobId } = submitted
  const later = `${jobId} can be looked at with: curl -H "Authorization: Bearer $FILMGATE_API_KEY" ${api.url}/v1/jobs/${jobId}`
  try {
    const job = await wait(api, submitted, interrupt.signal)
    report(job, await fetchOutputs(job, options, interrupt.signal), options)
  } catch (error) {
    if (error instanceof JobFailed) throw error
    if (interrupt.signal.aborted) {
      console.error(`The job goes on. ${later}`)
      // 128 + SIGINT, as shells have it
      process.exitCode = 130
    } else {
      const message = error instanceof Error ? error.message : String(error)
      throw new CommandFailed(`${message}\n${later}`, { cause: error })
    }
  }
}

function wait(api: Api, submitted: Submitted, signal: AbortSignal): Promise<Job> {
  const bar = createProgress(process.stderr)
  const show = (progress: Omit<Progress, 'label'>) => bar.show({ label: submitted.jobId, ...progress })
  return waitForJob(api, submitted, { show, signal }).finally(() => bar.done())
}

/** The paths of the files that were downloaded; undefined where none was asked for or made. */
async function fetchOutputs(
  job: Job,
  { out, force }: SubmitOptions,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  if (out === undefined || job.outputs === null) return undefined
  const outputs = job.outputs.map(({ url }, index) => ({ url, path: numbered(out, index) }))
  // others may have written there meanwhile
  for (const { path } of outputs) await requireWritable(path, force ?? false)
  for (const { url, path } of outputs) await download(url, path, signal)
  return outputs.map(({ path }) => path)
}

/** film.mp4, film-2.mp4, film-3.mp4 … */
function numbered(path: string, index: number): string {
  const { dir, name, ext } = parse(path)
  return index === 0 ? path : format({ dir, name: `${name}-${index + 1}`, ext })
}

class JobFailed extends CommandFailed {}

function report(job: Job, files: string[] | undefined, options: SubmitOptions): void {
  const isDone = job.status === 'completed'
  const urls = job.outputs?.map(({ url }) => url) ?? []
  const lines = table([
    ['job', job.jobId],
    ['cost', dollars(job.costMicroCents)],
    ...(files ?? urls).map((file) => [files === undefined ? 'output' : 'file', file]),
  ])
  if (isDone || options.json) print(options, { ...job, ...(files && { files }) }, lines)
  if (isDone) return
  const { code, message } = job.error ?? { code: job.status, message: 'its charge was given back' }
  throw new JobFailed(`${code}: ${message} (${job.jobId})`)
}
