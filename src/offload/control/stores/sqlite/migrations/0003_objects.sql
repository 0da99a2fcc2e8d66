-- Objects with a name, within environments; schema.sql says what each table is for.
ALTER TABLE apps ADD COLUMN environment TEXT NOT NULL DEFAULT 'main';

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

CREATE TABLE deleted_objects (
    object_key INTEGER PRIMARY KEY
);
