-- The FILMGATE_MIN_MARGIN of each server, as it was written: the commands show what the servers keep to.
alter table servers add column min_margin text;
