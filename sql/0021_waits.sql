-- The database's time as the workers saw it last: when it is before that, its clock was set back.
create table clock_seen (
  only_one boolean primary key default true check (only_one),
  at timestamptz not null default filmgate_now()
);
insert into clock_seen default values;
