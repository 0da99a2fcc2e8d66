-- Statements of the trees of volumes.

-- name: volume
SELECT volume_key, newest, oldest FROM volumes WHERE volume_id = :volume_id;

-- name: insert_volume
INSERT INTO volumes (volume_id) VALUES (:volume_id);

-- name: committed
-- The version that a commit has made.
SELECT version FROM volume_versions WHERE volume_key = :volume_key AND commit_id = :commit_id;

-- name: set_newest
UPDATE volumes SET newest = :version, oldest = max(oldest, 1) WHERE volume_key = :volume_key;

-- name: insert_version_from
-- A version; its sums are those of the one before and what changed.
INSERT INTO volume_versions (volume_key, version, commit_id, cause, at, files, size_bytes)
SELECT :volume_key, :version, :commit_id, :cause, :at,
    coalesce(max(files), 0) + :files, coalesce(max(size_bytes), 0) + :size_bytes
FROM volume_versions WHERE volume_key = :volume_key AND version = :version - 1;

-- name: heads_at
-- The newest entries of some paths.
SELECT path, kind, mode, mtime_ns, size_bytes, content FROM volume_entries
WHERE volume_key = :volume_key AND until IS NULL AND path IN (SELECT value FROM json_each(:paths));

-- name: heads_below
-- The newest entries of a path and of what is below it. '0' is the character after '/'.
SELECT path, kind, mode, mtime_ns, size_bytes, content FROM volume_entries
WHERE volume_key = :volume_key AND until IS NULL
    AND (path = :path OR (path > :path || '/' AND path < :path || '0'));

-- name: end_entries
UPDATE volume_entries SET until = :version
WHERE volume_key = :volume_key AND until IS NULL AND path IN (SELECT value FROM json_each(:paths));

-- name: last_entry_key
SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'volume_entries';

-- name: insert_entries
INSERT INTO volume_entries (
    entry_key, volume_key, folder, path, since, kind, mode, mtime_ns, size_bytes, content
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_chunks
INSERT OR IGNORE INTO volume_chunks (blob, entry_key) VALUES (?, ?);

-- name: entries
-- Entries of a version, of a whole volume.
SELECT path, kind, mode, mtime_ns, size_bytes, content FROM volume_entries INDEXED BY volume_tree
WHERE volume_key = :volume_key AND path > :after AND since <= :version AND (until IS NULL OR until > :version)
ORDER BY path LIMIT :limit;

-- name: entries_below
-- Those of a path and of what is below it.
SELECT path, kind, mode, mtime_ns, size_bytes, content FROM volume_entries INDEXED BY volume_tree
WHERE volume_key = :volume_key AND path >= :path AND path < :path || '0' AND path > :after
    AND (path = :path OR path > :path || '/')
    AND since <= :version AND (until IS NULL OR until > :version)
ORDER BY path LIMIT :limit;

-- name: entries_in
-- Those directly in a folder.
SELECT path, kind, mode, mtime_ns, size_bytes, content FROM volume_entries INDEXED BY volume_folders
WHERE volume_key = :volume_key AND folder = :path AND path > :after
    AND since <= :version AND (until IS NULL OR until > :version)
ORDER BY path LIMIT :limit;

-- name: snapshots
SELECT version, at, cause, files, size_bytes FROM volume_versions
WHERE volume_key = :volume_key AND version >= :oldest ORDER BY version DESC LIMIT :limit;

-- name: orphans
-- Volumes whose object is deleted.
SELECT v.volume_id FROM volumes AS v
WHERE NOT (v.volume_id >= 'gone-' AND v.volume_id < 'gone.')
    AND NOT EXISTS (SELECT 1 FROM objects AS o WHERE o.object_id = v.volume_id)
LIMIT :limit;

-- name: forget_volumes
-- Nobody finds them any more; the id is made one that nothing else has.
UPDATE volumes SET volume_id = 'gone-' || volume_key WHERE volume_id IN (SELECT value FROM json_each(:volume_ids));

-- name: forgotten
SELECT volume_key FROM volumes WHERE volume_id >= 'gone-' AND volume_id < 'gone.' LIMIT 1;

-- name: old_versions
-- Volumes whose oldest version a newer one had replaced before a time, with the version to go on from.
SELECT v.volume_key, max(n.version) AS version FROM volumes AS v
CROSS JOIN volume_versions AS n ON n.volume_key = v.volume_key AND n.version > v.oldest
WHERE n.at < :before GROUP BY v.volume_key LIMIT 20;

-- name: set_oldest
UPDATE volumes SET oldest = :version WHERE volume_key = :volume_key;

-- name: remove_versions
DELETE FROM volume_versions WHERE volume_key = :volume_key AND version < :version;

-- name: old_entries
-- Entries that no kept version has.
SELECT e.entry_key FROM volumes AS v
CROSS JOIN volume_entries AS e ON e.volume_key = v.volume_key AND e.until IS NOT NULL AND e.until <= v.oldest
LIMIT :limit;

-- name: entries_of
SELECT entry_key FROM volume_entries WHERE volume_key = :volume_key LIMIT :limit;

-- name: chunks_of
-- The blobs that entries name, as one JSON array.
SELECT json_group_array(DISTINCT blob) FROM volume_chunks WHERE entry_key IN (SELECT value FROM json_each(:keys));

-- name: remove_chunks
DELETE FROM volume_chunks WHERE entry_key IN (SELECT value FROM json_each(:keys));

-- name: remove_entries
DELETE FROM volume_entries WHERE entry_key IN (SELECT value FROM json_each(:keys));

-- name: remove_volume
DELETE FROM volumes WHERE volume_key = :volume_key;
