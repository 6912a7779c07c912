-- When answers were delivered: the console counts those of the last day. Only the first part of an answer has asked_at.
CREATE INDEX deliveries_answered ON deliveries (ended_at, asked_at) WHERE asked_at IS NOT NULL AND state = 'sent';
