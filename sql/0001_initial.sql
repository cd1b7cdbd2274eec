-- Money is counted in micro-cents as the wire names them: 1,000,000 are US $1.00.

create type mode as enum ('live', 'test');
create type user_status as enum ('active', 'inactive', 'banned');

create table users (
  id text primary key,
  email text not null,
  name text,
  status user_status not null default 'active',
  -- null: no limit
  concurrency_limit int check (concurrency_limit > 0),
  webhook_secret text not null,
  created_at timestamptz not null default now()
);
create unique index users_email on users (lower(email));

-- One balance account per user and mode; funding and revenue stand on the other side of every transfer. Their
-- own balance is never stored (every submit would queue for that row): it is the sum of their transfers.
create type account_kind as enum ('balance', 'funding', 'revenue');
create table accounts (
  id bigint generated always as identity primary key,
  kind account_kind not null,
  mode mode not null,
  user_id text references users,
  balance_micro_cents bigint check (balance_micro_cents >= 0),
  check ((kind = 'balance') = (user_id is not null)),
  check ((kind = 'balance') = (balance_micro_cents is not null)),
  unique nulls not distinct (kind, mode, user_id)
);
insert into accounts (kind, mode)
values ('funding', 'live'), ('revenue', 'live'), ('funding', 'test'), ('revenue', 'test');

-- Double entry: each row takes an amount from one account and gives it to another, so the whole always sums to
-- zero. Rows are only inserted. The accounts are no foreign keys: each check would lock the revenue account's row,
-- which all submits share, and cost a tenth of their rate. The ledger's statements take the ids from accounts, and
-- `filmgate ledger verify` checks them.
create type transfer_kind as enum ('credit', 'charge', 'refund');
create table ledger_transfers (
  id bigint generated always as identity primary key,
  kind transfer_kind not null,
  from_account_id bigint not null,
  to_account_id bigint not null,
  amount_micro_cents bigint not null check (amount_micro_cents >= 0),
  job_id text,
  refunds_transfer_id bigint references ledger_transfers,
  note text,
  created_at timestamptz not null default now(),
  check (from_account_id <> to_account_id),
  check ((kind = 'credit') = (job_id is null)),
  check ((kind = 'refund') = (refunds_transfer_id is not null))
);
-- A job is charged at most once and refunded at most once.
create unique index ledger_transfers_job on ledger_transfers (job_id, kind) where job_id is not null;
create unique index ledger_transfers_refund on ledger_transfers (refunds_transfer_id)
  where refunds_transfer_id is not null;

create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'rows of % are only inserted', tg_table_name;
end $$;
create trigger ledger_transfers_append_only before update or delete or truncate on ledger_transfers
  for each statement execute function refuse_change();

create table api_keys (
  id text primary key,
  user_id text not null references users,
  mode mode not null,
  hash bytea not null unique check (length(hash) = 32),
  -- the first characters, to tell keys apart in a list
  prefix text not null,
  name text,
  scopes text[] not null default '{}',
  allowed_ips text[] not null default '{}',
  expires_at timestamptz,
  is_active boolean not null default true,
  created_at timestamptz not null default now()
);
create index api_keys_user on api_keys (user_id);

create type job_status as enum ('pending', 'processing', 'completed', 'failed', 'cancelled');
create table jobs (
  id text primary key,
  -- the order of the list
  position bigint generated always as identity,
  account_id bigint not null references accounts,
  api_key_id text not null,
  request_id text not null,
  model_slug text not null,
  model_version text not null,
  input jsonb not null,
  metadata jsonb,
  webhook_url text,
  provider text not null,
  status job_status not null default 'pending',
  cost_micro_cents bigint not null check (cost_micro_cents >= 0),
  created_at timestamptz not null,
  estimated_completion_at timestamptz not null,
  dispatched_at timestamptz,
  deadline_at timestamptz,
  -- what the provider answered to the submit, opaque to us
  operation jsonb,
  completed_at timestamptz,
  error_code text,
  error_message text,
  check ((status in ('completed', 'failed', 'cancelled')) = (completed_at is not null)),
  check ((status = 'failed') = (error_code is not null)),
  check ((error_code is null) = (error_message is null)),
  check ((dispatched_at is null) = (deadline_at is null)),
  check (status <> 'pending' or dispatched_at is null),
  check (status not in ('processing', 'completed') or dispatched_at is not null)
);
create unique index jobs_list on jobs (account_id, position desc);
create index jobs_unfinished on jobs (account_id) where status in ('pending', 'processing');

create table job_outputs (
  job_id text not null references jobs,
  position int not null check (position >= 0),
  type text not null check (type in ('video', 'image', 'audio', 'text')),
  key text not null,
  poster_key text,
  thumbnail_key text,
  content_type text not null,
  bytes bigint not null,
  sha256 text not null,
  width int,
  height int,
  duration_seconds double precision,
  primary key (job_id, position)
);

-- Kept for 24 hours; see jobs/submit.ts.
create table idempotency_keys (
  account_id bigint not null references accounts,
  key text not null check (length(key) between 1 and 255),
  request_hash bytea not null,
  job_id text not null references jobs,
  created_at timestamptz not null,
  primary key (account_id, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);

create type upload_status as enum ('pending', 'stored', 'deleted');
create table uploads (
  id uuid primary key,
  user_id text not null references users,
  filename text not null,
  content_type text not null,
  status upload_status not null default 'pending',
  bytes bigint,
  sha256 text,
  created_at timestamptz not null,
  put_expires_at timestamptz not null,
  expires_at timestamptz not null,
  check ((status = 'pending') = (bytes is null))
);
create index uploads_age on uploads (created_at) where status <> 'deleted';

create type webhook_status as enum ('pending', 'sent', 'failed');
create table webhooks (
  -- the webhook-id header: the same over all attempts
  id text primary key,
  job_id text not null unique references jobs,
  url text not null,
  -- sent byte for byte
  body text not null,
  status webhook_status not null default 'pending',
  created_at timestamptz not null default now()
);
create table webhook_attempts (
  webhook_id text not null references webhooks,
  attempt int not null check (attempt > 0),
  started_at timestamptz not null,
  latency_ms int not null,
  http_status int,
  error text,
  response_excerpt text,
  primary key (webhook_id, attempt)
);

-- A beating row per process that runs tasks; see jobs/heartbeat.ts.
create table processes (
  id text primary key,
  worker_ids text[] not null,
  beat_at timestamptz not null
);
