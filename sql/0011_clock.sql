-- The clock of the queue's own tables, whose library writes and compares with PostgreSQL's: filmgate.clock_shift does not
-- move it. Only run_at, locked_at and updated_at of graphile_worker are compared with it.
create function queue_now() returns timestamptz language sql stable parallel safe as $$ select now() $$;

alter table users alter created_at set default filmgate_now();
alter table ledger_transfers alter created_at set default filmgate_now();
alter table api_keys alter created_at set default filmgate_now();
alter table webhooks alter created_at set default filmgate_now();
alter table segments alter created_at set default filmgate_now();
alter table price_overrides alter created_at set default filmgate_now();
alter table attempts alter started_at set default filmgate_now();
alter table upstreams alter changed_at set default filmgate_now();
alter table server_secrets alter created_at set default filmgate_now();
alter table upstream_closures alter closed_at set default filmgate_now();
alter table lent_files alter created_at set default filmgate_now();
