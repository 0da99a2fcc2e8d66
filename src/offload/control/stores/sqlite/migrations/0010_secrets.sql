-- What is in secrets; schema.sql says what the table is for.
CREATE TABLE secrets (
    object_key INTEGER PRIMARY KEY,
    names TEXT NOT NULL,
    key_id TEXT NOT NULL,
    box BLOB NOT NULL,
    updated_at REAL NOT NULL
);
