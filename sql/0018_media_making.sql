-- A customer's film is encoded anew for an upstream, which takes a while.
alter type job_event_kind add value 'media_making' before 'media_made';
