-- A token that stands for a key, where a browser should hold no key. It ends when its row goes, and with it those that were
-- made with it.
create table sessions (
  id text primary key,
  key_id text not null references api_keys on delete cascade,
  -- the session that it was made with; null: the key itself
  parent_id text references sessions on delete cascade,
  hash bytea not null unique check (length(hash) = 32),
  -- null: those of the key, as they are at each use
  scopes text[] check (cardinality(scopes) > 0),
  expires_at timestamptz not null,
  created_at timestamptz not null default filmgate_now()
);
create index sessions_of_key on sessions (key_id);
create index sessions_of_session on sessions (parent_id) where parent_id is not null;
create index sessions_by_end on sessions (expires_at);
