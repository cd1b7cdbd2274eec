-- What keeps jobs waiting, for the operator to see and to end.

-- Why a job was cancelled by somebody else than its customer.
alter table jobs
  add cancel_reason text check (cancel_reason in ('operator', 'start_timeout')),
  add constraint jobs_cancel_reason check (cancel_reason is null or status = 'cancelled');

-- Suspended: an upstream, or one model of it, takes no jobs until the operator has mended what `reason` says.
alter table upstream_closures
  add reason text not null default 'key' check (reason in ('key', 'credit', 'permission', 'model')),
  -- the free check was good, which does not prove that the reason is gone: a job may try
  add is_checked boolean not null default false,
  -- the job that tries
  add probe_job_id text;
update upstream_closures set reason = 'model' where model <> '';
-- Every process keeps them in memory with the policy. By row: a statement that changes none is no news.
create trigger upstream_closures_count after insert or update or delete on upstream_closures
  for each row execute function count_policy_version();

-- The servers that run, and which upstreams they have: what the commands tell of. Never a key.
create table servers (
  id text primary key,
  role text not null,
  host text not null,
  pid int not null,
  -- [{name, baseHost, credentials, fingerprint, hasWebhookSecret}]
  upstreams jsonb not null,
  started_at timestamptz not null default filmgate_now(),
  beat_at timestamptz not null default filmgate_now()
);

-- A free check that a command wants of a server, which has the key.
create table upstream_checks (
  id text primary key,
  server_id text not null references servers on delete cascade,
  upstream text not null,
  -- a good answer lets jobs go there again
  may_resume boolean not null,
  asked_at timestamptz not null default filmgate_now(),
  answer jsonb
);
