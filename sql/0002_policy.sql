-- The operator's policy: who sees which model, on what terms, how often. Every process keeps a copy in memory; a key's
-- look-up tells the number of the newest, so a change counts from the next request on (src/policy/policy.ts).

create table policy_version (
  only_row boolean primary key default true check (only_row),
  number bigint not null
);
insert into policy_version (number) values (1);

create function count_policy_version() returns trigger language plpgsql as $$
begin
  update policy_version set number = number + 1;
  return null;
end $$;

-- A group of users with terms of its own.
create table segments (
  name text primary key check (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  description text,
  created_at timestamptz not null default now()
);

alter table users
  -- names of segments; read with each key, hence an array and no table between
  add segments text[] not null default '{}',
  -- slugs of private models that the user may use
  add allowed_models text[] not null default '{}';
create index users_segments on users using gin (segments);

alter table api_keys
  -- null: no limit
  add requests_per_minute int check (requests_per_minute > 0);

-- A model without a row is public.
create table model_visibility (
  model_slug text primary key,
  visibility text not null check (visibility in ('segment', 'private')),
  segments text[] not null default '{}',
  check ((visibility = 'segment') = (cardinality(segments) > 0))
);

-- What the operator sets over the catalogue's own; null leaves it as it is.
create table model_version_settings (
  model_slug text not null,
  version text not null,
  status text check (status in ('active', 'deprecated', 'disabled', 'deleted')),
  requests_per_minute int check (requests_per_minute > 0),
  requests_per_day int check (requests_per_day > 0),
  primary key (model_slug, version)
);

create type price_override_kind as enum ('percentage_discount', 'fixed_price', 'custom_dynamic');
create table price_overrides (
  id text primary key,
  user_id text references users,
  segment text references segments,
  -- neither: all models
  provider_id text,
  model_slug text,
  kind price_override_kind not null,
  percentage numeric check (percentage > 0 and percentage <= 100),
  price_micro_cents bigint check (price_micro_cents >= 0),
  -- field → option → multiplier, as in the catalogue
  factors jsonb,
  note text,
  created_at timestamptz not null default now(),
  check (num_nonnulls(user_id, segment) = 1),
  check (num_nonnulls(provider_id, model_slug) <= 1),
  check ((kind = 'percentage_discount') = (percentage is not null)),
  check ((kind = 'fixed_price') = (price_micro_cents is not null)),
  check ((kind = 'custom_dynamic') = (factors is not null)),
  unique nulls not distinct (user_id, segment, provider_id, model_slug)
);

create trigger model_visibility_counts after insert or update or delete or truncate on model_visibility
  for each statement execute function count_policy_version();
create trigger model_version_settings_count after insert or update or delete or truncate on model_version_settings
  for each statement execute function count_policy_version();
create trigger price_overrides_count after insert or update or delete or truncate on price_overrides
  for each statement execute function count_policy_version();

-- By what the price of a job came about: 'list', 'quote', or the id of a price override.
alter table jobs add price_basis text not null default 'list';

-- Counters of the rate limits, shared by all processes, in the form that rate-limiter-flexible reads. They may be lost in
-- a crash.
create unlogged table rate_limits (
  key varchar(255) primary key,
  points integer not null default 0,
  expire bigint
);
