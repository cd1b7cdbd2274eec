-- What keeps jobs waiting, for the operator to see and to end.

-- Why a job was cancelled by somebody else than its customer.
alter table jobs
  add cancel_reason text check (cancel_reason in ('operator', 'start_timeout')),
  add constraint jobs_cancel_reason check (cancel_reason is null or status = 'cancelled');
