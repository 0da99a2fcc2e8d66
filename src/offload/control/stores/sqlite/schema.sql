-- The whole schema, for people. The migrations build it; a test compares the two.
--
-- `blob` is the SHA-256 of the blob that a row names, empty for none: the indices over those say which blobs are in use.

-- Runs of apps, and versions of deployed ones. `stopped_at` is 0 while the caller lives, or the version is kept.
CREATE TABLE apps (
    app_key INTEGER PRIMARY KEY,
    app_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at REAL NOT NULL,
    stopped_at REAL NOT NULL DEFAULT 0,
    workspace TEXT NOT NULL DEFAULT 'default',
    environment TEXT NOT NULL DEFAULT 'main'
);
CREATE INDEX apps_by_name ON apps (name);
CREATE INDEX stopped_apps ON apps (stopped_at) WHERE stopped_at > 0;

-- Functions of those runs. `body` is the encoded FunctionDefinition, `labels` a JSON array of pairs, `abilities` one of
-- strings; `memory_mib` includes `disk_mib`.
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
    body BLOB NOT NULL,
    gpus INTEGER NOT NULL DEFAULT 0,
    gpu_kind TEXT NOT NULL DEFAULT '',
    labels TEXT NOT NULL DEFAULT '[]',
    buffer_containers INTEGER NOT NULL DEFAULT 0,
    blob TEXT NOT NULL DEFAULT '',
    disk_mib INTEGER NOT NULL DEFAULT 0,
    abilities TEXT NOT NULL DEFAULT '[]',
    max_inputs INTEGER NOT NULL DEFAULT 1,
    target_inputs INTEGER NOT NULL DEFAULT 1,
    image_blobs TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX functions_by_app ON functions (app_key);
CREATE INDEX functions_by_blob ON functions (blob) WHERE blob <> '';

-- The blobs that the images of functions take along: what the JSON arrays in `functions` say, to be found by blob.
CREATE TABLE image_blobs (
    blob TEXT NOT NULL,
    function_key INTEGER NOT NULL,
    PRIMARY KEY (blob, function_key)
) WITHOUT ROWID;
CREATE INDEX image_blobs_by_function ON image_blobs (function_key);
CREATE TRIGGER name_image_blobs AFTER INSERT ON functions BEGIN
    INSERT OR IGNORE INTO image_blobs (blob, function_key) SELECT value, new.function_key FROM json_each(new.image_blobs);
END;
CREATE TRIGGER forget_image_blobs AFTER DELETE ON functions BEGIN
    DELETE FROM image_blobs WHERE function_key = old.function_key;
END;

-- Calls. `state` is empty and `finished_at` 0 while the call is open. `after_calls` is a JSON array of ids.
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
    finished_at REAL NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL DEFAULT 0,
    deadline REAL NOT NULL DEFAULT 0,
    after_calls TEXT NOT NULL DEFAULT '[]',
    run_anyway INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0
);
CREATE INDEX calls_by_app ON calls (app_key);
CREATE INDEX open_calls ON calls (app_key) WHERE state = '';
CREATE INDEX finished_calls ON calls (finished_at) WHERE state <> '';

-- Calls that are gone for readers, whose rows below are still to be removed. Until that is done no other call gets the key.
CREATE TABLE collected_calls (
    call_key INTEGER PRIMARY KEY
);

-- Inputs with their encoded Payload. `input_key` is call_key * 2^32 + index: one integer is key, foreign key and order
-- at once, so that an input costs one entry in one B-tree.
CREATE TABLE inputs (
    input_key INTEGER PRIMARY KEY,
    payload BLOB NOT NULL,
    blob TEXT NOT NULL DEFAULT ''
);
CREATE INDEX inputs_by_blob ON inputs (blob) WHERE blob <> '';

-- The one outcome of an input, under the same key. `seq` counts those of its call; `body` is the encoded Outcome. A lost
-- input is a dead letter while `letter` is NULL; then it is the id of the call that replays it, or empty for a dropped one.
CREATE TABLE outcomes (
    input_key INTEGER PRIMARY KEY,
    call_key INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    reason TEXT NOT NULL,
    body BLOB NOT NULL,
    at REAL NOT NULL,
    blob TEXT NOT NULL DEFAULT '',
    letter TEXT
);
CREATE INDEX outcomes_in_order ON outcomes (call_key, seq);
CREATE INDEX outcomes_by_blob ON outcomes (blob) WHERE blob <> '';
CREATE INDEX dead_letters ON outcomes (at) WHERE state = 'lost' AND letter IS NULL;

-- Outcomes that neighbouring inputs share. No two runs overlap, and no input of a run has an outcome above.
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

-- How many outcomes of each state a call has, kept by triggers so that listing calls never counts inputs.
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
CREATE TRIGGER count_outcome_runs AFTER INSERT ON outcome_runs BEGIN
    INSERT INTO call_counts (call_key, state, outcomes) VALUES (new.call_key, new.state, new.input_count)
    ON CONFLICT (call_key, state) DO UPDATE SET outcomes = outcomes + new.input_count;
END;

-- What has happened to inputs that were tried and have not ended; those that ended since are still here.
CREATE TABLE histories (
    input_key INTEGER PRIMARY KEY,
    attempts INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    losses INTEGER NOT NULL,
    kills INTEGER NOT NULL,
    alone INTEGER NOT NULL,
    retry_at REAL NOT NULL
);

-- What generator inputs yielded, each an encoded Payload.
CREATE TABLE items (
    item_key INTEGER PRIMARY KEY,
    input_key INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    payload BLOB NOT NULL,
    blob TEXT NOT NULL DEFAULT '',
    UNIQUE (input_key, seq)
);
CREATE INDEX items_by_blob ON items (blob) WHERE blob <> '';

-- Workers that a server may expect back.
CREATE TABLE workers (
    worker_key INTEGER PRIMARY KEY,
    worker_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
);

-- Deployed apps by name. `serving` is the number of a version, 0 for none; `last_served` the one before an app was
-- stopped; `tags` a JSON array of pairs.
CREATE TABLE deployments (
    deployment_key INTEGER PRIMARY KEY,
    workspace TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    serving INTEGER NOT NULL,
    activated_at REAL NOT NULL,
    tags TEXT NOT NULL,
    last_served INTEGER NOT NULL DEFAULT 0,
    UNIQUE (workspace, environment, name)
);

-- Their versions that are kept. `functions` is a JSON array of (name, function id),
-- `schedules` one of (function name, spec, arguments in base64).
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

-- When functions of deployed apps run by themselves. `cursor` is the last tick that was decided, `args` an encoded Payload.
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

-- What became of their last ticks; `call_id` is empty where nothing was called.
CREATE TABLE schedule_runs (
    schedule_key INTEGER NOT NULL REFERENCES schedules,
    tick REAL NOT NULL,
    call_id TEXT NOT NULL,
    at REAL NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (schedule_key, tick, call_id)
) WITHOUT ROWID;

-- Lines of output. The ids are text, not keys: a line may come from outside any call.
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

-- The trees of volumes. `newest` is the number of the last version, `oldest` of the first that can still be read. A volume
-- that is forgotten has lost its id.
CREATE TABLE volumes (
    volume_key INTEGER PRIMARY KEY AUTOINCREMENT,
    volume_id TEXT NOT NULL UNIQUE,
    newest INTEGER NOT NULL DEFAULT 0,
    oldest INTEGER NOT NULL DEFAULT 0
);

-- One row for each commit.
CREATE TABLE volume_versions (
    volume_key INTEGER NOT NULL,
    version INTEGER NOT NULL,
    commit_id TEXT NOT NULL,
    cause TEXT NOT NULL,
    at REAL NOT NULL,
    files INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (volume_key, version)
) WITHOUT ROWID;
CREATE INDEX volume_commits ON volume_versions (volume_key, commit_id);

-- What stands under a path from version `since` on and before version `until`, which is NULL while it stands there: so
-- every version can be read, and a commit costs what it changes. `folder` is the path above. `content` is a file's chunks,
-- each its SHA-256 and its size, or a symlink's target.
CREATE TABLE volume_entries (
    entry_key INTEGER PRIMARY KEY AUTOINCREMENT,
    volume_key INTEGER NOT NULL,
    folder TEXT NOT NULL,
    path TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    kind INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    content BLOB NOT NULL
);
CREATE UNIQUE INDEX volume_tree ON volume_entries (volume_key, path, since);
CREATE UNIQUE INDEX volume_heads ON volume_entries (volume_key, path) WHERE until IS NULL;
CREATE INDEX volume_folders ON volume_entries (volume_key, folder, path);
CREATE INDEX volume_ended ON volume_entries (volume_key, until) WHERE until IS NOT NULL;

-- Which entries name a blob: the blob is in use while there is one.
CREATE TABLE volume_chunks (
    blob TEXT NOT NULL,
    entry_key INTEGER NOT NULL,
    PRIMARY KEY (blob, entry_key)
) WITHOUT ROWID;
CREATE INDEX chunks_by_entry ON volume_chunks (entry_key);
-- Objects with a name, and anonymous ones, which belong to an app or to whoever holds them. A key is never given twice: what
-- was in a deleted object may still be there.
CREATE TABLE objects (
    object_key INTEGER PRIMARY KEY AUTOINCREMENT,
    object_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    workspace TEXT NOT NULL,
    environment TEXT NOT NULL,
    name TEXT NOT NULL,
    app_id TEXT NOT NULL,
    created_at REAL NOT NULL,
    last_used_at REAL NOT NULL
);
CREATE UNIQUE INDEX objects_by_name ON objects (kind, workspace, environment, name) WHERE name <> '';
CREATE INDEX anonymous_objects ON objects (object_key) WHERE name = '';

-- Objects that nobody finds any more, until what was in them is gone too.
CREATE TABLE deleted_objects (
    object_key INTEGER PRIMARY KEY
);

-- What is in dicts. `value` is an encoded Payload.
CREATE TABLE dict_entries (
    entry_key INTEGER PRIMARY KEY,
    object_key INTEGER NOT NULL,
    key BLOB NOT NULL,
    value BLOB NOT NULL,
    blob TEXT NOT NULL,
    used_at REAL NOT NULL,
    UNIQUE (object_key, key)
);
CREATE INDEX dict_entries_unused ON dict_entries (used_at);
CREATE INDEX dict_entries_by_blob ON dict_entries (blob) WHERE blob <> '';

-- What is in queues, in the order of the keys. `taken` is the request that took an item, which is then kept for a repeat of
-- it, and `expires_at` when it did.
CREATE TABLE queue_items (
    item_key INTEGER PRIMARY KEY AUTOINCREMENT,
    object_key INTEGER NOT NULL,
    partition TEXT NOT NULL,
    value BLOB NOT NULL,
    blob TEXT NOT NULL,
    expires_at REAL NOT NULL,
    taken TEXT NOT NULL DEFAULT ''
);
CREATE INDEX queue_items_in_order ON queue_items (object_key, partition, item_key, expires_at) WHERE taken = '';
CREATE INDEX queue_items_taken ON queue_items (taken) WHERE taken <> '';
CREATE INDEX queue_items_expired ON queue_items (expires_at);
CREATE INDEX queue_items_by_blob ON queue_items (blob) WHERE blob <> '';

-- What was answered to requests that may come again.
CREATE TABLE answers (
    request_id TEXT PRIMARY KEY,
    answer BLOB NOT NULL,
    blob TEXT NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX answers_by_age ON answers (at);
CREATE INDEX answers_by_blob ON answers (blob) WHERE blob <> '';

-- What is in secrets: the names of the variables, and a box that only the key with this id opens. The keys are not in the
-- database.
CREATE TABLE secrets (
    object_key INTEGER PRIMARY KEY,
    names TEXT NOT NULL,
    key_id TEXT NOT NULL,
    box BLOB NOT NULL,
    updated_at REAL NOT NULL
);

-- Keys that open web endpoints of a workspace: of each secret only its SHA-256.
CREATE TABLE web_keys (
    key_id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at REAL NOT NULL
) WITHOUT ROWID;
