-- Deployed apps, schedules, and calls that begin later; schema.sql says what each is for.
ALTER TABLE calls ADD COLUMN not_before REAL NOT NULL DEFAULT 0;

CREATE TABLE deployments (
    deployment_key INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    serving INTEGER NOT NULL,
    activated_at REAL NOT NULL,
    tags TEXT NOT NULL,
    UNIQUE (workspace, environment, name)
);

CREATE TABLE app_versions (
    app_key INTEGER PRIMARY KEY REFERENCES apps,
    deployment_key INTEGER NOT NULL REFERENCES deployments,
    number INTEGER NOT NULL,
    is_serving INTEGER NOT NULL,
    digest TEXT NOT NULL,
    created_at REAL NOT NULL,
    functions TEXT NOT NULL,
    schedules TEXT NOT NULL,
    tag TEXT NOT NULL,
    deployed_by TEXT NOT NULL
);
CREATE INDEX app_versions_in_order ON app_versions (deployment_key, number);

CREATE TABLE schedules (
    schedule_key INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL,
    environment TEXT NOT NULL,
    app TEXT NOT NULL,
    function TEXT NOT NULL,
    spec TEXT NOT NULL,
    anchor REAL NOT NULL,
    cursor REAL NOT NULL,
    args BLOB NOT NULL,
    is_paused INTEGER NOT NULL,
    UNIQUE (workspace, environment, app, function)
);

CREATE TABLE schedule_runs (
    schedule_key INTEGER NOT NULL REFERENCES schedules,
    tick REAL NOT NULL,
    call_id TEXT NOT NULL,
    at REAL NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (schedule_key, tick, call_id)
) WITHOUT ROWID;
