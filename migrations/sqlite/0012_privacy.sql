-- What was erased at whose request: counts and internal ids, no name and no text. The ids refer to nothing any more.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY,
    at         INTEGER NOT NULL,
    what       TEXT NOT NULL,                   -- thread_erased, person_erased
    thread_id  TEXT,
    messages   INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    names      INTEGER NOT NULL,
    ratings    INTEGER NOT NULL,
    pages_at   INTEGER,                         -- when unused pages held nothing of it any more
    log_at     INTEGER                          -- when the write-ahead log did not either
) STRICT;
