-- Statements over what is in dicts and queues. Those with `VALUES (…)` of question marks are repeated for many rows.

-- name: object_key
-- The key of an object.
SELECT object_key FROM objects WHERE object_id = :object_id;

-- name: put_entries
-- New values, whatever was there.
INSERT INTO dict_entries (object_key, key, value, blob, used_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (object_key, key) DO UPDATE SET value = excluded.value, blob = excluded.blob, used_at = excluded.used_at;

-- name: put_new_entries
-- New entries; what is there stays as it is.
INSERT INTO dict_entries (object_key, key, value, blob, used_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (object_key, key) DO NOTHING;

-- name: pop_entry
-- An entry that goes.
DELETE FROM dict_entries WHERE object_key = :object_key AND key = :key RETURNING value, blob;

-- name: touch_entry
-- When an entry was used last.
UPDATE dict_entries SET used_at = :at WHERE object_key = :object_key AND key = :key AND used_at < :at;

-- name: clear_dict
-- All entries.
DELETE FROM dict_entries WHERE object_key = :object_key;

-- name: entry
-- One entry.
SELECT value, blob, used_at FROM dict_entries
WHERE object_key = (SELECT object_key FROM objects WHERE object_id = :object_id) AND key = :key;

-- name: entries
-- Entries by their keys.
SELECT key, value, blob FROM dict_entries
WHERE object_key = (SELECT object_key FROM objects WHERE object_id = :object_id) AND key > :after_key
ORDER BY key LIMIT :limit;

-- name: keys
-- Keys alone.
SELECT key, x'' AS value, '' AS blob FROM dict_entries
WHERE object_key = (SELECT object_key FROM objects WHERE object_id = :object_id) AND key > :after_key
ORDER BY key LIMIT :limit;

-- name: entry_count
-- How many there are.
SELECT count(*) FROM dict_entries
WHERE object_key = (SELECT object_key FROM objects WHERE object_id = :object_id);

-- name: put_items
-- Items at the end.
INSERT INTO queue_items (object_key, partition, value, blob, expires_at) VALUES (?, ?, ?, ?, ?);

-- name: first_items
-- The first items of a partition, and how large each is.
SELECT item_key, value FROM queue_items INDEXED BY queue_items_in_order
WHERE object_key = :object_key AND partition = :partition AND taken = '' AND expires_at > :now
ORDER BY item_key LIMIT :limit;

-- name: take_items
-- They belong to a request from now on.
UPDATE queue_items SET taken = :request_id, expires_at = :at
WHERE item_key IN (SELECT value FROM json_each(:item_keys));

-- name: taken_items
-- What a request took.
SELECT value FROM queue_items INDEXED BY queue_items_taken WHERE taken = :request_id AND taken <> '' ORDER BY item_key;

-- name: forget_taken
-- Requests that have arrived.
DELETE FROM queue_items WHERE taken IN (SELECT value FROM json_each(:request_ids)) AND taken <> '';

-- name: clear_items
-- The items of one partition, or of all.
DELETE FROM queue_items
WHERE object_key = :object_key AND taken = '' AND (:partition IS NULL OR partition = :partition);

-- name: room_taken
-- How many items are in a partition, up to a limit.
SELECT count(*) FROM (
    SELECT 1 FROM queue_items INDEXED BY queue_items_in_order
    WHERE object_key = :object_key AND partition = :partition AND taken = '' AND expires_at > :now LIMIT :limit
);

-- name: items
-- Items in order, not taken away.
SELECT item_key, value FROM queue_items INDEXED BY queue_items_in_order
WHERE object_key = (SELECT object_key FROM objects WHERE object_id = :object_id)
    AND partition = :partition AND taken = '' AND item_key > :after AND expires_at > :now
ORDER BY item_key LIMIT :limit;

-- name: item_count
-- How many items there are, in a partition or in all.
SELECT count(*) FROM queue_items INDEXED BY queue_items_in_order
WHERE object_key = (SELECT object_key FROM objects WHERE object_id = :object_id)
    AND taken = '' AND (:partition IS NULL OR partition = :partition) AND expires_at > :now;

-- name: keep_answers
-- What was answered.
INSERT INTO answers (request_id, answer, blob, at) VALUES (?, ?, ?, ?) ON CONFLICT (request_id) DO NOTHING;

-- name: answer
-- What was answered then.
SELECT answer, blob FROM answers WHERE request_id = :request_id;

-- name: collect_entries
-- Entries of deleted dicts.
DELETE FROM dict_entries WHERE entry_key IN (
    SELECT entry_key FROM deleted_objects AS d CROSS JOIN dict_entries AS e USING (object_key) LIMIT :limit
);

-- name: collect_items
-- Items of deleted queues.
DELETE FROM queue_items WHERE item_key IN (
    SELECT i.item_key FROM deleted_objects AS d
    CROSS JOIN queue_items AS i INDEXED BY queue_items_in_order ON i.object_key = d.object_key AND i.taken = '' LIMIT :limit
);

-- name: collect_unused_entries
-- Entries that nobody used for long.
DELETE FROM dict_entries WHERE entry_key IN (
    SELECT entry_key FROM dict_entries INDEXED BY dict_entries_unused WHERE used_at < :unused_since LIMIT :limit
);

-- name: collect_expired_items
-- Items that have expired, and taken ones that no repeat will ask for.
DELETE FROM queue_items WHERE item_key IN (
    SELECT item_key FROM queue_items INDEXED BY queue_items_expired
    WHERE expires_at < :now AND (taken = '' OR expires_at < :answered_before) LIMIT :limit
);

-- name: collect_answers
-- Answers that no repeat will ask for.
DELETE FROM answers WHERE request_id IN (
    SELECT request_id FROM answers INDEXED BY answers_by_age WHERE at < :answered_before LIMIT :limit
);

-- name: blobs_in_use
-- Which of some blobs are named.
SELECT json_group_array(j.value) FROM json_each(:sha256) AS j WHERE j.value <> '' AND (
    EXISTS (SELECT 1 FROM dict_entries AS e WHERE e.blob = j.value AND e.blob <> '')
    OR EXISTS (SELECT 1 FROM queue_items AS i WHERE i.blob = j.value AND i.blob <> '')
    OR EXISTS (SELECT 1 FROM answers AS a WHERE a.blob = j.value AND a.blob <> '')
);
