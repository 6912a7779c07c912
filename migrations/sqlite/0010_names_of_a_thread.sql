-- All names of a thread, roots too: when a thread goes, its names are found without looking at those of all others.
DROP INDEX aliases_thread;
CREATE INDEX aliases_thread ON aliases (thread_id);
