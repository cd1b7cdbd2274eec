-- When a completed job's files were deleted, all of them; written once they are gone. Of the job, since its files go
-- together and are looked for by account and age.
alter table jobs
  add outputs_deleted_at timestamptz,
  add constraint jobs_outputs_deleted check (outputs_deleted_at is null or status = 'completed');
-- What is past its account's retention, the oldest first, among any number of jobs whose files stay or are gone.
create index jobs_with_files on jobs (account_id, completed_at)
  where status = 'completed' and outputs_deleted_at is null;
create index users_with_retention on users (id) where retention_days is not null;

-- What a user has uploaded and not yet lost again.
create index uploads_of_user on uploads (user_id, created_at) where status <> 'deleted';
