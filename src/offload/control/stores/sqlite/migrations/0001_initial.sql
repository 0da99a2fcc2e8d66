-- Everything the first release keeps; schema.sql says what each table is for.
CREATE TABLE apps (
    app_key INTEGER PRIMARY KEY,
    app_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at REAL NOT NULL,
    stopped_at REAL NOT NULL DEFAULT 0
);
CREATE INDEX apps_by_name ON apps (name);

CREATE TABLE functions (
    function_key INTEGER PRIMARY KEY,
    function_id TEXT NOT NULL UNIQUE,
    app_key INTEGER NOT NULL REFERENCES apps,
    name TEXT NOT NULL,
    cpu_milli INTEGER NOT NULL,
    memory_mib INTEGER NOT NULL,
    timeout_seconds REAL NOT NULL,
    startup_timeout_seconds REAL NOT NULL,
    max_retries INTEGER NOT NULL,
    initial_delay_seconds REAL NOT NULL,
    backoff_coefficient REAL NOT NULL,
    max_delay_seconds REAL NOT NULL,
    min_containers INTEGER NOT NULL,
    max_containers INTEGER NOT NULL,
    scaledown_window_seconds REAL NOT NULL,
    runtime TEXT NOT NULL,
    host_id TEXT NOT NULL,
    is_generator INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX functions_by_app ON functions (app_key);

CREATE TABLE calls (
    call_key INTEGER PRIMARY KEY,
    call_id TEXT NOT NULL UNIQUE,
    function_key INTEGER NOT NULL REFERENCES functions,
    app_key INTEGER NOT NULL REFERENCES apps,
    kind TEXT NOT NULL,
    created_at REAL NOT NULL,
    attached INTEGER NOT NULL,
    durable INTEGER NOT NULL,
    closed INTEGER NOT NULL DEFAULT 0,
    total INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT '',
    finished_at REAL NOT NULL DEFAULT 0
);
CREATE INDEX calls_by_app ON calls (app_key);
CREATE INDEX open_calls ON calls (app_key) WHERE state = '';

CREATE TABLE inputs (
    input_key INTEGER PRIMARY KEY,
    payload BLOB NOT NULL
);

CREATE TABLE outcomes (
    input_key INTEGER PRIMARY KEY,
    call_key INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    reason TEXT NOT NULL,
    body BLOB NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX outcomes_in_order ON outcomes (call_key, seq);

CREATE TABLE call_counts (
    call_key INTEGER NOT NULL,
    state TEXT NOT NULL,
    outcomes INTEGER NOT NULL,
    PRIMARY KEY (call_key, state)
) WITHOUT ROWID;
CREATE TRIGGER count_outcomes AFTER INSERT ON outcomes BEGIN
    INSERT INTO call_counts (call_key, state, outcomes) VALUES (new.call_key, new.state, 1)
    ON CONFLICT (call_key, state) DO UPDATE SET outcomes = outcomes + 1;
END;

CREATE TABLE items (
    item_key INTEGER PRIMARY KEY,
    input_key INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    payload BLOB NOT NULL,
    UNIQUE (input_key, seq)
);

CREATE TABLE logs (
    seq INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    app_id TEXT NOT NULL,
    call_id TEXT NOT NULL,
    input_id TEXT NOT NULL,
    container_id TEXT NOT NULL,
    function_name TEXT NOT NULL,
    stream TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX logs_by_app ON logs (app_id);
CREATE INDEX logs_by_call ON logs (call_id) WHERE call_id <> '';
