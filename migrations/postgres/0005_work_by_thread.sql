-- A thread's work is looked up by the thread; what is due has an index of its own.
ALTER TABLE work DROP CONSTRAINT work_pkey, ADD PRIMARY KEY (thread_id, kind);
