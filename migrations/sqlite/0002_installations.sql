-- Where an app is installed. Times are milliseconds since the Unix epoch, by the platform's clock.
CREATE TABLE installations (
    account  TEXT PRIMARY KEY,                  -- CHANNEL/ACCOUNT
    since    INTEGER NOT NULL,                  -- an end before this is another installation's
    ended_at INTEGER,                           -- the latest end that the platform told of
    sealed   BLOB                               -- the channel's words, tokens included, encrypted; NULL once it ended
) STRICT, WITHOUT ROWID;

-- What is good once and was used, until it is worth nothing anyway.
CREATE TABLE spent (
    mark  TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
