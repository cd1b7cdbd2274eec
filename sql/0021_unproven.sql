-- When a good check last opened an upstream, and what had suspended it. What suspends it again so soon after shows that the
-- check proves nothing here, and is left to a job that tries.
alter table upstreams add opened_by_check_at timestamptz, add opened_by_check_of text[];
alter table upstream_closures add is_unproven boolean not null default false;
