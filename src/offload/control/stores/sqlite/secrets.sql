-- Statements over what is in secrets. Parameters are named.

-- name: secret
-- What is in one.
SELECT names, key_id, box, updated_at FROM secrets
WHERE object_key = (SELECT object_key FROM objects WHERE object_id = :object_id);

-- name: other_keys
-- Those that another key has sealed.
SELECT object_id, names, key_id, box, updated_at FROM secrets JOIN objects USING (object_key)
WHERE key_id <> :key_id ORDER BY object_key LIMIT :limit;

-- name: put_secret
-- All that is in one.
INSERT INTO secrets (object_key, names, key_id, box, updated_at)
SELECT object_key, :names, :key_id, :box, :updated_at FROM objects WHERE object_id = :object_id
ON CONFLICT (object_key) DO UPDATE
SET names = excluded.names, key_id = excluded.key_id, box = excluded.box, updated_at = excluded.updated_at;

-- name: reseal
-- The same under another key, unless it was replaced meanwhile.
UPDATE secrets SET key_id = :key_id, box = :box
WHERE object_key = (SELECT object_key FROM objects WHERE object_id = :object_id) AND box = :old_box;

-- name: forget_secrets
-- What is in objects that are about to be deleted.
DELETE FROM secrets WHERE object_key IN (
    SELECT object_key FROM objects WHERE object_id IN (SELECT value FROM json_each(:object_ids))
);
