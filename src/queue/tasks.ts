import type { Db } from '../db.ts'

/** What the queue carries; each payload names rows only, the tables hold the truth. */
export interface Tasks {
  dispatch: { jobId: string; cutOffs?: number }
  /** Copies the outputs of a job that its upstream has done. */
  collect: { jobId: string; cutOffs?: number }
  /** Removes what was copied of a job that did not complete. */
  discard: { jobId: string }
  /** Of the version before, which polled by tasks. */
  poll: { jobId: string }
  deliver_webhook: { webhookId: string; isRedelivery?: boolean }
}

export type TaskName = keyof Tasks

export interface TaskOptions {
  /** From now by the database's clock, which is the same for all processes and does not step back with one of them. */
  delayMs?: number
  /** At most one waiting task per key: adding it again moves the waiting one. */
  key?: string
}

/** Adds one task, in the caller's transaction if `db` is in one. */
export async function addTask<Name extends TaskName>(
  db: Db,
  name: Name,
  payload: Tasks[Name],
  options: TaskOptions = {},
): Promise<void> {
  await db.query({
    name: 'add-task',
    text: `select from graphile_worker.add_job($1, $2::json, run_at => queue_now() + $3 * interval '1 ms', job_key => $4)`,
    values: [name, JSON.stringify(payload), options.delayMs ?? null, options.key ?? null],
  })
}

/** One dispatch task per job waits at most. */
export function dispatchKey(jobId: string): string {
  return `dispatch:${jobId}`
}

/** Adds a `dispatch` task per job in one call: one NOTIFY for all, since a NOTIFY makes commits wait in line. */
export async function addDispatchTasks(db: Db, jobIds: string[]): Promise<void> {
  await db.query({
    name: 'add-dispatch-tasks',
    text: `
      select from graphile_worker.add_jobs(array(
        select row('dispatch', json_build_object('jobId', id), null, null, null, 'dispatch:' || id, null, null)::graphile_worker.job_spec
        from unnest($1::text[]) as id))`,
    values: [jobIds],
  })
}

/** Removes the waiting task of this key; one that is under way goes on. */
export async function removeTask(db: Db, key: string): Promise<void> {
  await db.query({ name: 'remove-task', text: 'select from graphile_worker.remove_job($1)', values: [key] })
}

/** Removes tasks that have used up their attempts: what they were for was given new ones by the sweep, or is over. */
export async function removeDeadTasks(db: Db, olderThanMs: number): Promise<void> {
  await db.query(
    `select from graphile_worker.complete_jobs(array(
       select id from graphile_worker.jobs
       where attempts >= max_attempts and locked_at is null and updated_at < queue_now() - $1 * interval '1 ms' limit 1000))`,
    [olderThanMs],
  )
}
