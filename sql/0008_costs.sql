-- What each attempt has cost the operator, in micro-cents; null: nobody knows. A vendor's own bill counts before its list.
-- Vendors do not charge for generations that failed, unless they say that they did. One that was not heard of in time may
-- still be made and charged.
create view attempt_costs as
select a.id as attempt_id, a.job_id, a.provider, a.started_at,
  case
    when a.billed_micro_cents is not null then a.billed_micro_cents
    when a.provider = 'sandbox' or a.status in ('refused', 'absent') then 0
    when a.status = 'accepted' and (a.finished_at is not null or j.status = 'processing') then a.listed_cost_micro_cents
    -- a bill that is not in dollars
    when a.billing is not null then null
    when a.status = 'accepted' and (j.status = 'cancelled' or j.error_code in ('GENERATION_FAILED', 'CONTENT_POLICY_VIOLATION',
      'INPUT_MEDIA_UNREACHABLE', 'INPUT_MEDIA_INVALID')) then 0
  end as cost_micro_cents
from attempts a join jobs j on j.id = a.job_id;

-- They come in the order of time, which such an index needs next to no room for.
create index attempts_days on attempts using brin (started_at);

-- The money of each job: what the customer paid and has back, what the operator paid.
create view job_money as
select j.id as job_id,
  coalesce(t.charged, 0)::bigint as charged_micro_cents,
  coalesce(t.refunded, 0)::bigint as refunded_micro_cents,
  case when c.unknown = 0 then c.cost end::bigint as cost_micro_cents,
  case when c.unknown = 0 then coalesce(t.charged, 0) - coalesce(t.refunded, 0) - c.cost end::bigint as margin_micro_cents
from jobs j
cross join lateral (
  select sum(amount_micro_cents) filter (where kind = 'charge') as charged,
    sum(amount_micro_cents) filter (where kind = 'refund') as refunded
  from ledger_transfers where job_id = j.id
) t
cross join lateral (
  select coalesce(sum(cost_micro_cents), 0) as cost, count(*) filter (where cost_micro_cents is null) as unknown
  from attempt_costs where job_id = j.id
) c;
