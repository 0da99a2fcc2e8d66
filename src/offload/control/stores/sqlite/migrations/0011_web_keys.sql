-- Keys of web endpoints; schema.sql says what the table is for.
CREATE TABLE web_keys (
    key_id TEXT PRIMARY KEY,
    workspace TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    created_at REAL NOT NULL
) WITHOUT ROWID;
