-- What was made of a customer's files for an upstream.
alter type job_event_kind add value 'media_made' before 'output_ready';
