-- How often an upload was put: a link whose file was replaced must not give two files one validator.
alter table uploads add column puts int not null default 0;
