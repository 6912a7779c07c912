-- Times are milliseconds since the Unix epoch, by the database's clock. Ids are text (UUID version 7, so that new rows
-- stand together) and compared byte by byte, whatever the database's language is.

-- Which chatbridge may work here: one that knows this migration, and the later ones or not. A migration that a
-- neighbouring version could not live with raises the number.
CREATE TABLE bridge (
    one          BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    oldest_known BIGINT NOT NULL
);
INSERT INTO bridge (oldest_known) VALUES (1);

-- A thread: the place of one exchange. Whoever decides anything about a thread locks its row first.
CREATE TABLE threads (
    id              TEXT COLLATE "C" PRIMARY KEY,
    account         TEXT COLLATE "C" NOT NULL,  -- CHANNEL/ACCOUNT
    place           TEXT,                       -- a room within the account
    address         TEXT NOT NULL,              -- as an operator reads it
    state           TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paused')),
    paused_until    BIGINT,                     -- a pause that ends by itself; none: until somebody ends it
    conversation_id TEXT,                       -- the agent's own id
    answer_id       TEXT,                       -- the agent's own id of its latest answer
    route           TEXT NOT NULL,              -- where replies go: the channel's JSON
    routed_at       BIGINT NOT NULL DEFAULT 0,  -- when that was last said, by the platform's time
    country         TEXT,
    bound           TEXT,                       -- the strong identifier that it belongs to
    last_seq        BIGINT NOT NULL DEFAULT 0,  -- of its messages
    last_part       BIGINT NOT NULL DEFAULT 0,  -- of its deliveries
    last_inbound_at BIGINT NOT NULL,
    noticed_at      BIGINT,                     -- when the person last got a notice
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
) WITH (fillfactor = 80);

-- What the platform calls a thread. A root (strength 4) is the only name of its thread and equals its address.
CREATE TABLE aliases (
    alias     TEXT COLLATE "C" PRIMARY KEY,
    thread_id TEXT COLLATE "C" NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    strength  BIGINT NOT NULL,
    since     BIGINT NOT NULL
);
CREATE INDEX aliases_thread ON aliases (thread_id);

-- What was seen already: digests, and the hour (since the epoch) in which each was seen.
CREATE TABLE keys (
    key  BIGINT PRIMARY KEY,
    hour BIGINT NOT NULL
);

-- What people wrote, in the order accepted. A message's id is THREAD.mSEQ.
CREATE TABLE messages (
    thread_id   TEXT COLLATE "C" NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    seq         BIGINT NOT NULL,
    platform_id TEXT COLLATE "C" NOT NULL,
    text        TEXT NOT NULL,
    quotes      TEXT COLLATE "C",               -- the platform's name of the message that it replies to
    state       TEXT NOT NULL CHECK (state IN ('pending', 'answered', 'ignored', 'handed', 'dead')),
    code        TEXT,                           -- why it is ignored or dead
    reason      TEXT,
    turn        BIGINT,                         -- the first message of the turn that it was asked in
    attempts    BIGINT NOT NULL DEFAULT 0,
    sent_at     BIGINT NOT NULL,
    edited_at   BIGINT,                         -- when its person last changed it, by the platform's time
    accepted_at BIGINT NOT NULL,
    ended_at    BIGINT,
    PRIMARY KEY (thread_id, seq)
) WITH (fillfactor = 90);
CREATE INDEX messages_dead ON messages (thread_id, seq) WHERE state = 'dead';

-- What is sent to people, in order. A delivery's id is THREAD.dPART.
CREATE TABLE deliveries (
    thread_id    TEXT COLLATE "C" NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    part         BIGINT NOT NULL,
    turn         BIGINT,                        -- the first message of the turn that it answers
    kind         TEXT NOT NULL CHECK (kind IN ('answer', 'notice')),
    body         TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'unknown', 'sent', 'dead', 'withdrawn')),
    attempts     BIGINT NOT NULL DEFAULT 0,
    pauses       BIGINT NOT NULL DEFAULT 0,     -- how many times in a row the platform asked for a pause
    platform_id  TEXT COLLATE "C",
    stage        BIGINT NOT NULL DEFAULT 0,     -- 1 sent, 2 delivered, 3 read, 4 failed: what the platform told
    billable     BIGINT,
    code         TEXT,
    reason       TEXT,
    asked_at     BIGINT,                        -- of an answer's first part: when its question was accepted
    created_at   BIGINT NOT NULL,
    attempted_at BIGINT,
    ended_at     BIGINT,
    PRIMARY KEY (thread_id, part)
) WITH (fillfactor = 80);
CREATE INDEX deliveries_platform ON deliveries (platform_id) WHERE platform_id IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries (thread_id, part) WHERE state = 'dead';

-- What is to be done: a row for each thread and kind that has something to do.
CREATE TABLE work (
    kind      BIGINT NOT NULL,                  -- 1 a turn to ask, 2 a part to send
    thread_id TEXT COLLATE "C" NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    lane      TEXT COLLATE "C" NOT NULL,
    due_at    BIGINT NOT NULL,                  -- while claimed: when the lease ends
    since     BIGINT NOT NULL,                  -- when the burst began
    wait      BIGINT NOT NULL DEFAULT 0,        -- how long to collect a burst
    max_wait  BIGINT NOT NULL DEFAULT 0,
    token     BIGINT,                           -- of the claim, while there is one
    attempts  BIGINT NOT NULL DEFAULT 0,
    ambiguous BOOLEAN NOT NULL DEFAULT false,   -- an attempt may have been answered unseen
    held      TEXT COLLATE "C",                 -- whose release it waits for
    first     BIGINT NOT NULL,                  -- the first open message or part
    upto      BIGINT,                           -- the last message of the turn that has begun
    reopened  BIGINT,                           -- the first message that was put back to work during that turn
    PRIMARY KEY (kind, thread_id)
) WITH (fillfactor = 70);
CREATE INDEX work_due ON work (kind, lane, due_at);
CREATE INDEX work_held ON work (kind, held) WHERE held IS NOT NULL;

-- Which replica sends for an account, and until when: its limits are kept by one at a time.
CREATE TABLE lanes (
    lane  TEXT COLLATE "C" PRIMARY KEY,
    owner TEXT COLLATE "C" NOT NULL,
    until BIGINT NOT NULL
);

-- What people say of answers: the last word of each person on each turn.
CREATE TABLE feedback (
    thread_id TEXT COLLATE "C" NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    turn      BIGINT NOT NULL,                  -- the first message of the turn
    person    TEXT COLLATE "C" NOT NULL,        -- as the platform calls them
    helpful   BIGINT NOT NULL,
    at        BIGINT NOT NULL,
    PRIMARY KEY (thread_id, turn, person)
);

-- Where an app is installed. Times are by the platform's clock.
CREATE TABLE installations (
    account  TEXT COLLATE "C" PRIMARY KEY,      -- CHANNEL/ACCOUNT
    since    BIGINT NOT NULL,                   -- an end before this is another installation's
    ended_at BIGINT,                            -- the latest end that the platform told of
    sealed   BYTEA                              -- the channel's words, tokens included, encrypted; NULL once it ended
);

-- What is good once and was used, until it is worth nothing anyway.
CREATE TABLE spent (
    mark  TEXT COLLATE "C" PRIMARY KEY,
    until BIGINT NOT NULL
);
CREATE INDEX spent_until ON spent (until);
