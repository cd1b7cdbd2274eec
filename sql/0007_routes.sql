-- Routes: where each attempt went, what it costs, and what takes no jobs until the operator has done something.

alter table attempts
  -- what the upstream calls the model, and what the route fixes; null in attempts made before there were routes
  add route jsonb,
  -- with which account of the upstream, by a digest of its key; null where that does not matter, and in attempts made before
  add account text,
  -- what the upstream charges for such a job by its list, in micro-cents
  add listed_cost_micro_cents bigint check (listed_cost_micro_cents >= 0),
  -- what it says that it has charged: in dollars, where it says so, and in its own words
  add billed_micro_cents bigint check (billed_micro_cents >= 0),
  add billing jsonb,
  -- set where the upstream does not want the job, now or later: another may
  add refusal_code text,
  add constraint attempts_refusal check (refusal_code is null or status = 'refused');
-- How a route has done of late.
create index attempts_recent on attempts (provider, model_slug, started_at desc);

-- A wrong key, no credit, a model that is switched off. model '': all that goes to the upstream.
create table upstream_closures (
  upstream text not null,
  model text not null,
  cause text not null,
  -- how often in a row it was found closed
  times int not null default 1,
  closed_at timestamptz not null default now(),
  -- when one job may try whether it is open again
  retry_at timestamptz not null,
  -- one is trying
  is_probed boolean not null default false,
  primary key (upstream, model)
);

-- Copies of input files, lent to upstreams that fetch them by URL; removed once their job has ended.
create table lent_files (
  key text primary key,
  job_id text not null references jobs,
  created_at timestamptz not null default now()
);
