-- Which accounts belong together, as their platform tells in passing.
CREATE TABLE families (
    account TEXT PRIMARY KEY,                   -- CHANNEL/ACCOUNT
    family  TEXT NOT NULL                       -- as the platform calls it
) STRICT, WITHOUT ROWID;
