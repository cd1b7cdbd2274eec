-- The one clock of all decisions about time: age, deadline, retention, expiry. In tests a database setting moves it:
-- alter database … set filmgate.clock_shift = '2 days'.
create function filmgate_now() returns timestamptz language sql stable parallel safe as $$
  select now() + coalesce(nullif(current_setting('filmgate.clock_shift', true), ''), '0')::interval
$$;
