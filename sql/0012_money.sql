-- Ways back for money, prices for everybody, and what a submit has decided for good. New values of a type can't be
-- compared in the transaction that adds them, so the constraints here compare texts.

-- debit: back to where credits come from. goodwill: part of a charge given back by the operator. owed: the part of a debit
-- that the balance did not have. repayment: what the next money pays of it.
alter type transfer_kind add value 'goodwill';
alter type transfer_kind add value 'debit';
alter type transfer_kind add value 'owed';
alter type transfer_kind add value 'repayment';

-- Beside a balance there is an account of kind owed once something was owed. How much it is stands with the balance too,
-- whose row every submit locks anyway.
alter type account_kind add value 'owed';
alter table accounts
  add owed_micro_cents bigint not null default 0 check (owed_micro_cents >= 0),
  drop constraint accounts_check,
  add constraint accounts_owner check ((kind::text in ('balance', 'owed')) = (user_id is not null)),
  -- what comes in pays what is owed first
  add constraint accounts_owed check (owed_micro_cents = 0 or coalesce(balance_micro_cents, 1) = 0);

alter table ledger_transfers
  -- the operator's own name of a credit or debit: the same again is the same transfer
  add reference text check (length(reference) between 1 and 255),
  add constraint ledger_transfers_note check (length(note) between 1 and 500) not valid,
  drop constraint ledger_transfers_check1,
  add constraint ledger_transfers_of_job check ((kind::text in ('charge', 'refund', 'goodwill')) = (job_id is not null)),
  add constraint ledger_transfers_why check (
    case kind::text when 'goodwill' then note is not null and amount_micro_cents > 0
      when 'charge' then note is null when 'refund' then note is null else true end),
  add constraint ledger_transfers_named check (reference is null or kind::text in ('credit', 'debit', 'owed'));

-- A job is charged at most once and refunded at most once; the same note for the same job is the same goodwill.
drop index ledger_transfers_job;
create unique index ledger_transfers_job on ledger_transfers (job_id, kind, note) nulls not distinct
  where job_id is not null;
create unique index ledger_transfers_reference on ledger_transfers (from_account_id, to_account_id, kind, reference)
  where reference is not null;

-- What a job has got back is at most its charge. The lock has those that come at once wait for each other.
create function refuse_more_than_charged() returns trigger language plpgsql as $$
declare
  charged bigint;
  given_back bigint;
begin
  select amount_micro_cents into charged from ledger_transfers where job_id = new.job_id and kind = 'charge' for update;
  select sum(amount_micro_cents) into given_back from ledger_transfers
    where job_id = new.job_id and kind in ('refund', 'goodwill');
  if charged is null or given_back > charged then
    raise exception 'job % would get back % of a charge of %', new.job_id, given_back, coalesce(charged, 0)
      using errcode = 'check_violation', constraint = 'ledger_transfers_given_back';
  end if;
  return null;
end $$;
create constraint trigger ledger_transfers_given_back after insert on ledger_transfers
  for each row when (new.kind::text in ('refund', 'goodwill')) execute function refuse_more_than_charged();

-- A markup is for everybody and has no subject; 0 % takes a model out of a wider one.
alter type price_override_kind add value 'percentage_markup';
alter table price_overrides
  drop constraint price_overrides_check,
  drop constraint price_overrides_check2,
  drop constraint price_overrides_percentage_check,
  add constraint price_overrides_subject check (
    num_nonnulls(user_id, segment) = case kind::text when 'percentage_markup' then 0 else 1 end),
  add constraint price_overrides_percentage check (
    case kind::text when 'percentage_discount' then percentage is not null and percentage > 0 and percentage <= 100
      when 'percentage_markup' then percentage is not null and percentage >= 0 and percentage <= 1000
      else percentage is null end);

-- By which routes the job may go ("upstream model"), as its margin was decided with its price; null: by any.
alter table jobs add routes text[];

-- How the body was completed that came with the key: a hash of it so, and what it was completed with.
alter table idempotency_keys
  add completed_hash bytea,
  add basis jsonb;

drop view job_money;
create view job_money as
select j.id as job_id,
  coalesce(t.charged, 0)::bigint as charged_micro_cents,
  -- by the job's end and by goodwill
  coalesce(t.refunded, 0)::bigint as refunded_micro_cents,
  case when c.unknown = 0 then c.cost end::bigint as cost_micro_cents,
  -- the sandbox's jobs earn and lose nothing
  case when c.unknown = 0 and a.mode = 'live' then coalesce(t.charged, 0) - coalesce(t.refunded, 0) - c.cost end::bigint
    as margin_micro_cents,
  coalesce(t.goodwill, 0)::bigint as goodwill_micro_cents
from jobs j
join accounts a on a.id = j.account_id
cross join lateral (
  select sum(amount_micro_cents) filter (where kind = 'charge') as charged,
    sum(amount_micro_cents) filter (where kind::text in ('refund', 'goodwill')) as refunded,
    sum(amount_micro_cents) filter (where kind::text = 'goodwill') as goodwill
  from ledger_transfers where job_id = j.id
) t
cross join lateral (
  select coalesce(sum(cost_micro_cents), 0) as cost, count(*) filter (where cost_micro_cents is null) as unknown
  from attempt_costs where job_id = j.id
) c;
