-- What was erased at whose request: counts and internal ids, no name and no text. The ids refer to nothing any more.
CREATE TABLE audit (
    seq        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         BIGINT NOT NULL,
    what       TEXT NOT NULL,                   -- thread_erased, person_erased
    thread_id  TEXT COLLATE "C",
    messages   BIGINT NOT NULL,
    deliveries BIGINT NOT NULL,
    names      BIGINT NOT NULL,
    ratings    BIGINT NOT NULL,
    pages_at   BIGINT,                          -- as on SQLite; the server keeps its own pages and log
    log_at     BIGINT
);
