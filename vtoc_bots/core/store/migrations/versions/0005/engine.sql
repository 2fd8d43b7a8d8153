-- How many copies of an outbound may be shown: it began to be sent that often, and no end of it is known.
ALTER TABLE vtoc_engine.outbox ADD COLUMN copies integer NOT NULL DEFAULT 0;
