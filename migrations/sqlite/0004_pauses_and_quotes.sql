-- A pause that ends by itself; none: it lasts until somebody ends it. Only of a thread in state 'paused'.
ALTER TABLE threads ADD COLUMN paused_until INTEGER;
-- When a person or the platform last said where replies go, by the platform's time: what comes late changes nothing.
ALTER TABLE threads ADD COLUMN routed_at INTEGER NOT NULL DEFAULT 0;
-- The platform's name of the message that this one replies to.
ALTER TABLE messages ADD COLUMN quotes TEXT;
-- How many times in a row the platform asked for a pause.
ALTER TABLE deliveries ADD COLUMN pauses INTEGER NOT NULL DEFAULT 0;
