-- Statements over objects with a name. Parameters are named.

-- name: named_object
-- The object of a name.
SELECT object_id, kind, workspace, environment, name, app_id, created_at, last_used_at FROM objects
WHERE kind = :kind AND workspace = :workspace AND environment = :environment AND name = :name AND name <> '';

-- name: object
-- One object.
SELECT object_id, kind, workspace, environment, name, app_id, created_at, last_used_at FROM objects
WHERE object_id = :object_id;

-- name: objects
-- Objects of a kind and scope by their names.
SELECT object_id, kind, workspace, environment, name, app_id, created_at, last_used_at FROM objects
WHERE kind = :kind AND workspace = :workspace AND environment = :environment AND name > :after_name AND name <> ''
ORDER BY name LIMIT :limit;

-- name: anonymous_objects
-- Objects without a name, oldest first.
SELECT object_id, kind, workspace, environment, name, app_id, created_at, last_used_at
FROM objects INDEXED BY anonymous_objects WHERE name = '' ORDER BY object_key;

-- name: insert_object
-- A new object; one whose name or id is taken changes nothing.
INSERT INTO objects (object_id, kind, workspace, environment, name, app_id, created_at, last_used_at)
VALUES (:object_id, :kind, :workspace, :environment, :name, :app_id, :created_at, :last_used_at)
ON CONFLICT DO NOTHING;

-- name: rename_object
-- Another name; where it is taken nothing changes.
UPDATE OR IGNORE objects SET name = :name WHERE object_id = :object_id;

-- name: note_use
-- When objects were used last.
UPDATE objects SET last_used_at = :at WHERE object_id IN (SELECT value FROM json_each(:object_ids));

-- name: remember_deleted
-- What is in these is to be removed ...
INSERT INTO deleted_objects (object_key)
SELECT object_key FROM objects WHERE object_id IN (SELECT value FROM json_each(:object_ids));

-- name: delete_objects
-- ... and from now on nobody finds them.
DELETE FROM objects WHERE object_id IN (SELECT value FROM json_each(:object_ids));

-- name: forget_deleted
-- Nothing is left of any of them.
DELETE FROM deleted_objects;
