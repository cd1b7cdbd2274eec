-- What all processes on this database sign with; the first one to start makes it.
create table server_secrets (
  name text primary key,
  -- 32 bytes in base64url
  secret text not null check (secret ~ '^[\w-]{43}$'),
  created_at timestamptz not null default now()
);
