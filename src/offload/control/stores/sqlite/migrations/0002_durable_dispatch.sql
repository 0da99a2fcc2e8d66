-- What durable, fair dispatch keeps, and what collecting old calls needs; schema.sql says what each is for.
ALTER TABLE apps ADD COLUMN workspace TEXT NOT NULL DEFAULT 'default';
CREATE INDEX stopped_apps ON apps (stopped_at) WHERE stopped_at > 0;

ALTER TABLE functions ADD COLUMN gpus INTEGER NOT NULL DEFAULT 0;
ALTER TABLE functions ADD COLUMN gpu_kind TEXT NOT NULL DEFAULT '';
ALTER TABLE functions ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';
ALTER TABLE functions ADD COLUMN buffer_containers INTEGER NOT NULL DEFAULT 0;
ALTER TABLE functions ADD COLUMN blob TEXT NOT NULL DEFAULT '';
CREATE INDEX functions_by_blob ON functions (blob) WHERE blob <> '';

ALTER TABLE calls ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN deadline REAL NOT NULL DEFAULT 0;
ALTER TABLE calls ADD COLUMN after_calls TEXT NOT NULL DEFAULT '[]';
ALTER TABLE calls ADD COLUMN run_anyway INTEGER NOT NULL DEFAULT 0;
CREATE INDEX finished_calls ON calls (finished_at) WHERE state <> '';

ALTER TABLE inputs ADD COLUMN blob TEXT NOT NULL DEFAULT '';
CREATE INDEX inputs_by_blob ON inputs (blob) WHERE blob <> '';

ALTER TABLE outcomes ADD COLUMN blob TEXT NOT NULL DEFAULT '';
ALTER TABLE outcomes ADD COLUMN letter TEXT;
CREATE INDEX outcomes_by_blob ON outcomes (blob) WHERE blob <> '';
CREATE INDEX dead_letters ON outcomes (at) WHERE state = 'lost' AND letter IS NULL;

CREATE TABLE outcome_runs (
    first_key INTEGER PRIMARY KEY,
    input_count INTEGER NOT NULL,
    call_key INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    state TEXT NOT NULL,
    failure TEXT NOT NULL,
    reason TEXT NOT NULL,
    body BLOB NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX outcome_runs_in_order ON outcome_runs (call_key, first_seq, input_count);
CREATE TRIGGER count_outcome_runs AFTER INSERT ON outcome_runs BEGIN
    INSERT INTO call_counts (call_key, state, outcomes) VALUES (new.call_key, new.state, new.input_count)
    ON CONFLICT (call_key, state) DO UPDATE SET outcomes = outcomes + new.input_count;
END;

CREATE TABLE histories (
    input_key INTEGER PRIMARY KEY,
    attempts INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    kills INTEGER NOT NULL,
    alone INTEGER NOT NULL,
    retry_at REAL NOT NULL
);

ALTER TABLE items ADD COLUMN blob TEXT NOT NULL DEFAULT '';
CREATE INDEX items_by_blob ON items (blob) WHERE blob <> '';

CREATE TABLE workers (
    worker_key INTEGER PRIMARY KEY,
    worker_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
);

CREATE TABLE collected_calls (
    call_key INTEGER PRIMARY KEY
);

-- Rows of the first release name their blobs only inside what they hold.
UPDATE functions SET blob = named_blob(body) WHERE named_blob(body) <> '';
UPDATE inputs SET blob = named_blob(payload) WHERE named_blob(payload) <> '';
UPDATE outcomes SET blob = named_blob(body) WHERE named_blob(body) <> '';
UPDATE items SET blob = named_blob(payload) WHERE named_blob(payload) <> '';
