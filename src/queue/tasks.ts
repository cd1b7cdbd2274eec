import type { Db } from '../db.ts'

/** What the queue carries; each payload names rows only, the tables hold the truth. */
export interface Tasks {
  dispatch: { jobId: string }
  poll: { jobId: string; outputFailures?: number }
  deliver_webhook: { webhookId: string; isRedelivery?: boolean }
}

export type TaskName = keyof Tasks

export interface TaskOptions {
  runAt?: Date
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
    text: 'select from graphile_worker.add_job($1, $2::json, run_at => $3, job_key => $4)',
    values: [name, JSON.stringify(payload), options.runAt ?? null, options.key ?? null],
  })
}

/**
 * Lets the waiting task of this key run now, unless it is to run sooner. Nothing happens if none waits; one that is under
 * way goes on as it is.
 */
export async function bringForward(db: Db, key: string): Promise<void> {
  await db.query({
    name: 'bring-task-forward',
    text: `
      select from graphile_worker.reschedule_jobs(
        array(select id from graphile_worker.jobs where key = $1 and locked_at is null and run_at > now()),
        run_at => now())`,
    values: [key],
  })
}

/** Adds a `dispatch` task per job in one call: one NOTIFY for all, since a NOTIFY makes commits wait in line. */
export async function addDispatchTasks(db: Db, jobIds: string[]): Promise<void> {
  await db.query({
    name: 'add-dispatch-tasks',
    text: `
      select from graphile_worker.add_jobs(array(
        select row('dispatch', json_build_object('jobId', id), null, null, null, null, null, null)::graphile_worker.job_spec
        from unnest($1::text[]) as id))`,
    values: [jobIds],
  })
}
