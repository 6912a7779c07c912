-- When a person last changed a message before it was asked, by the platform's time.
ALTER TABLE messages ADD COLUMN edited_at INTEGER;

-- What people say of answers: the last word of each person on each turn.
CREATE TABLE feedback (
    thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
    turn      INTEGER NOT NULL,                 -- the first message of the turn
    person    TEXT NOT NULL,                    -- as the platform calls them
    helpful   INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (thread_id, turn, person)
) STRICT, WITHOUT ROWID;
