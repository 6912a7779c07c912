-- Times are milliseconds since the Unix epoch. Ids are text (UUID version 7, so that new rows stand together).

-- A thread: the place of one exchange.
CREATE TABLE threads (
    id              TEXT PRIMARY KEY,
    account         TEXT NOT NULL,              -- CHANNEL/ACCOUNT
    place           TEXT,                       -- a room within the account
    address         TEXT NOT NULL,              -- as an operator reads it
    state           TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paused')),
    conversation_id TEXT,                       -- the agent's own id
    answer_id       TEXT,                       -- the agent's own id of its latest answer
    route           TEXT NOT NULL,              -- where replies go: the channel's JSON
    country         TEXT,
    bound           TEXT,                       -- the strong identifier that it belongs to
    last_seq        INTEGER NOT NULL DEFAULT 0, -- of its messages
    last_part       INTEGER NOT NULL DEFAULT 0, -- of its deliveries
    last_inbound_at INTEGER NOT NULL,
    noticed_at      INTEGER,                    -- when the person last got a notice
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What the platform calls a thread. A root (strength 4) is the only name of its thread and equals its address.
CREATE TABLE aliases (
    alias     TEXT PRIMARY KEY,
    thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    strength  INTEGER NOT NULL,
    since     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_thread ON aliases (thread_id) WHERE strength < 4;

-- What was seen already: digests, and the hour (since the epoch) in which each was seen.
CREATE TABLE keys (
    key  INTEGER PRIMARY KEY,
    hour INTEGER NOT NULL
) STRICT;

-- What people wrote, in the order accepted. A message's id is THREAD.SEQ.
CREATE TABLE messages (
    thread_id   TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    seq         INTEGER NOT NULL,
    platform_id TEXT NOT NULL,
    text        TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('pending', 'answered', 'ignored', 'handed', 'dead')),
    code        TEXT,                           -- why it is ignored or dead
    reason      TEXT,
    turn        INTEGER,                        -- the first message of the turn that it was asked in
    attempts    INTEGER NOT NULL DEFAULT 0,
    sent_at     INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL,
    ended_at    INTEGER,
    PRIMARY KEY (thread_id, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_dead ON messages (thread_id, seq) WHERE state = 'dead';

-- What is sent to people, in order. A delivery's id is THREAD.PART.
CREATE TABLE deliveries (
    thread_id    TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    part         INTEGER NOT NULL,
    turn         INTEGER,                       -- the first message of the turn that it answers
    kind         TEXT NOT NULL CHECK (kind IN ('answer', 'notice')),
    body         TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'unknown', 'sent', 'dead', 'withdrawn')),
    attempts     INTEGER NOT NULL DEFAULT 0,
    platform_id  TEXT,
    stage        INTEGER NOT NULL DEFAULT 0,    -- 1 sent, 2 delivered, 3 read, 4 failed: what the platform told
    billable     INTEGER,
    code         TEXT,
    reason       TEXT,
    asked_at     INTEGER,                       -- of an answer's first part: when its question was accepted
    created_at   INTEGER NOT NULL,
    attempted_at INTEGER,
    ended_at     INTEGER,
    PRIMARY KEY (thread_id, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_platform ON deliveries (platform_id) WHERE platform_id IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries (thread_id, part) WHERE state = 'dead';

-- What is to be done: a row for each thread and kind that has something to do.
CREATE TABLE work (
    kind      INTEGER NOT NULL,                 -- 1 a turn to ask, 2 a part to send
    thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    lane      TEXT NOT NULL,
    due_at    INTEGER NOT NULL,                 -- while claimed: when the lease ends
    since     INTEGER NOT NULL,                 -- when the burst began
    wait      INTEGER NOT NULL DEFAULT 0,       -- how long to collect a burst
    max_wait  INTEGER NOT NULL DEFAULT 0,
    token     INTEGER,                          -- of the claim, while there is one
    attempts  INTEGER NOT NULL DEFAULT 0,
    ambiguous INTEGER NOT NULL DEFAULT 0,       -- an attempt may have been answered unseen
    held      TEXT,                             -- whose release it waits for
    first     INTEGER NOT NULL,                 -- the first open message or part
    upto      INTEGER,                          -- the last message of the turn that has begun
    reopened  INTEGER,                          -- the first message that was put back to work during that turn
    PRIMARY KEY (kind, thread_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX work_due ON work (kind, lane, due_at);
CREATE INDEX work_held ON work (kind, held) WHERE held IS NOT NULL;
