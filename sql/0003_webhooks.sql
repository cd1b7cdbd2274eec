-- For how long a webhook that is not taken is tried again; see src/webhooks/schedule.ts.
create type webhook_schedule as enum ('long', 'short');
alter table users
  add webhook_schedule webhook_schedule not null default 'long',
  -- signs beside the new secret until the overlap of a rotation is over
  add previous_webhook_secret text,
  add previous_webhook_secret_until timestamptz,
  add check ((previous_webhook_secret is null) = (previous_webhook_secret_until is null));

-- From a redelivery by hand being asked for until its one attempt is written down.
alter table webhooks add redelivery_asked_at timestamptz;
create index webhooks_unfinished on webhooks (id) where status = 'pending' or redelivery_asked_at is not null;

alter table webhook_attempts add is_redelivery boolean not null default false;
