-- Volumes; schema.sql says what each table is for.
CREATE TABLE volumes (
    volume_key INTEGER PRIMARY KEY AUTOINCREMENT,
    volume_id TEXT NOT NULL UNIQUE,
    newest INTEGER NOT NULL DEFAULT 0,
    oldest INTEGER NOT NULL DEFAULT 0
);

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

CREATE TABLE volume_chunks (
    blob TEXT NOT NULL,
    entry_key INTEGER NOT NULL,
    PRIMARY KEY (blob, entry_key)
) WITHOUT ROWID;
CREATE INDEX chunks_by_entry ON volume_chunks (entry_key);
