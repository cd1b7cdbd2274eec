-- Requests that were refused or that failed, for their operator to look up by id: the newest of them. Never a body, a query
-- or a key. The id is the client's own where it sent one, so it need not be unique.
create table refused_requests (
  number bigint generated always as identity primary key,
  request_id text not null,
  at timestamptz not null,
  method text,
  route text,
  status int not null,
  code text,
  message text,
  ms int,
  api_key_id text,
  user_id text,
  address text
);
create index refused_requests_by_request on refused_requests (request_id);
create index refused_requests_by_time on refused_requests (at);
