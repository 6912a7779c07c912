-- Which accounts belong together, as their platform tells in passing.
CREATE TABLE families (
    account text COLLATE "C" PRIMARY KEY,       -- CHANNEL/ACCOUNT
    family  text NOT NULL                       -- as the platform calls it
);
