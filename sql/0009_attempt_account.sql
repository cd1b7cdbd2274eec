-- With which account of the upstream an attempt was made, by a digest of its key; null where that does not matter, and in
-- attempts made before it was kept.
alter table attempts add account text;
