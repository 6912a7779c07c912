-- Keys that were seen lately, in the order in which they were: they go over into keys in the order of their digests.
CREATE TABLE fresh_keys (
    seq  INTEGER PRIMARY KEY,
    key  INTEGER NOT NULL,
    hour INTEGER NOT NULL
) STRICT;
