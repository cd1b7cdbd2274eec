-- The life of a job at its upstream: every attempt, what happened when, and when to ask next.

-- sending: written before the call; unknown: its answer was lost; absent: the upstream said that it has no such job.
create type attempt_status as enum ('sending', 'accepted', 'refused', 'unknown', 'absent');
create table attempts (
  id text primary key,
  job_id text not null references jobs,
  number int not null check (number > 0),
  provider text not null,
  model_slug text not null,
  -- who sends it: an attempt that is still being sent by a process that is gone is looked after by the others
  process_id text not null,
  -- handed to the upstream: its own guard against a second job, and the name we can ask for it by
  idempotency_key text not null,
  status attempt_status not null default 'sending',
  -- what the upstream answered, opaque to us
  operation jsonb,
  -- why it was refused or its answer lost; for the operator
  cause text,
  -- by the database's clock, as the time that an upstream is given to settle counts from here
  started_at timestamptz not null default now(),
  answered_at timestamptz,
  -- when the upstream was found to have its result
  finished_at timestamptz,
  unique (job_id, number),
  check ((status = 'accepted') = (operation is not null)),
  check ((status = 'sending') = (answered_at is null)),
  check (finished_at is null or status = 'accepted')
);
-- While the upstream may have a job no second one can be sent.
create unique index attempts_alive on attempts (job_id) where status in ('sending', 'accepted', 'unknown');
-- What is learnt of how long a model's jobs take.
create index attempts_durations on attempts (provider, model_slug, finished_at desc) where finished_at is not null;

-- The timeline of each job. Rows are only inserted, under the lock of the job's row: by id they are in the order in
-- which they became visible.
create type job_event_kind as enum (
  'submitted', 'processing', 'attempt_sent', 'attempt_accepted', 'attempt_refused', 'attempt_unknown',
  'attempt_absent', 'held', 'output_ready', 'output_retried', 'completed', 'failed', 'cancelled', 'late_result');
create table job_events (
  id bigint generated always as identity primary key,
  job_id text not null,
  at timestamptz not null,
  kind job_event_kind not null,
  from_status job_status,
  to_status job_status,
  -- for the operator
  detail jsonb,
  check ((from_status is null) = (to_status is null)),
  check ((kind in ('processing', 'completed', 'failed', 'cancelled')) = (to_status is not null)),
  check (to_status is null or kind::text = to_status::text),
  -- the legal transitions; the same table is in src/jobs/life.ts
  constraint job_events_transition check (to_status is null or (from_status, to_status) in (
    ('pending', 'processing'), ('pending', 'cancelled'),
    ('processing', 'completed'), ('processing', 'failed'), ('processing', 'cancelled')))
);
create index job_events_job on job_events (job_id, id);
-- A job is taken up at most once and ends at most once.
create unique index job_events_taken_up on job_events (job_id) where to_status = 'processing';
create unique index job_events_end on job_events (job_id) where to_status in ('completed', 'failed', 'cancelled');

-- When to ask the upstream of a job next. Whoever asks pushes due_at into the future first: if it never comes back, the row
-- is due again by itself, and at once when its process is found dead. By the database's clock.
create table polls (
  job_id text primary key references jobs,
  provider text not null,
  due_at timestamptz not null,
  -- the process that is asking
  claimed_by text,
  asked int not null default 0,
  -- calls without an answer, in a row
  failures int not null default 0,
  -- answers that the upstream has no such job, in a row
  absences int not null default 0,
  -- results that could not be copied
  output_failures int not null default 0,
  -- the upstream's result, once it is there to be copied; a task does that
  outputs jsonb
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
create index polls_due on polls (provider, due_at) where outputs is null;
create index polls_claimed on polls (claimed_by) where claimed_by is not null;

-- How an upstream does, shared by all processes. open_until: its circuit is open, nothing is sent; busy_until: it asked
-- for fewer calls.
create table upstreams (
  name text primary key,
  failures int not null default 0,
  open_until timestamptz,
  busy_until timestamptz,
  changed_at timestamptz not null default now()
);

-- What becomes of a job whose outcome is still unknown at the end of its time limit: failed and refunded, or kept until
-- the upstream has answered or the operator decides.
create type unknown_outcome_policy as enum ('refund', 'hold');
alter table users
  add unknown_outcome unknown_outcome_policy not null default 'refund',
  -- days that outputs are kept after a job has completed; null: for ever
  add retention_days int check (retention_days > 0);
