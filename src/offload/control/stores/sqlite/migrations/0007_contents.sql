-- What is in dicts and queues; schema.sql says what each table is for.
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

CREATE TABLE answers (
    request_id TEXT PRIMARY KEY,
    answer BLOB NOT NULL,
    blob TEXT NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX answers_by_age ON answers (at);
CREATE INDEX answers_by_blob ON answers (blob) WHERE blob <> '';
