-- Statements of collection. Each takes one step, whatever the number of rows; see the top of writing.py for why.

-- name: finished_calls
-- The keys of calls that ended before a time, first those that ended first.
SELECT json_group_array(call_key) FROM (
    SELECT call_key FROM calls INDEXED BY finished_calls
    WHERE state <> '' AND finished_at < :before ORDER BY finished_at LIMIT :limit
);

-- name: remember_calls
-- They are to be removed ...
INSERT INTO collected_calls (call_key) SELECT value FROM json_each(:keys);

-- name: hide_calls
-- ... and from now on nobody finds them.
DELETE FROM calls WHERE call_key IN (SELECT value FROM json_each(:keys));

-- name: old_inputs
-- Inputs of those calls, the blobs they name, and how many rows and further pages all that is; each of the following alike.
WITH first_rows AS (
    SELECT i.input_key AS key, i.blob, 1 + length(i.payload) / 4096 AS cost
    FROM collected_calls AS c
    CROSS JOIN inputs AS i ON i.input_key BETWEEN c.call_key << 32 AND (c.call_key << 32) + 4294967295
    LIMIT :limit
), chunk AS (
    SELECT key, blob, cost, sum(cost) OVER (ORDER BY key ROWS UNBOUNDED PRECEDING) - cost AS cost_before FROM first_rows
)
SELECT json_group_array(key) AS keys, json_group_array(DISTINCT blob) AS blobs, coalesce(sum(cost), 0) AS cost
FROM chunk WHERE cost_before < :limit;

-- name: remove_inputs
-- Remove these.
DELETE FROM inputs WHERE input_key IN (SELECT value FROM json_each(:keys));

-- name: old_outcomes
-- Outcomes.
WITH first_rows AS (
    SELECT o.input_key AS key, o.blob, 1 + length(o.body) / 4096 AS cost
    FROM collected_calls AS c
    CROSS JOIN outcomes AS o ON o.input_key BETWEEN c.call_key << 32 AND (c.call_key << 32) + 4294967295
    LIMIT :limit
), chunk AS (
    SELECT key, blob, cost, sum(cost) OVER (ORDER BY key ROWS UNBOUNDED PRECEDING) - cost AS cost_before FROM first_rows
)
SELECT json_group_array(key) AS keys, json_group_array(DISTINCT blob) AS blobs, coalesce(sum(cost), 0) AS cost
FROM chunk WHERE cost_before < :limit;

-- name: remove_outcomes
-- Remove these.
DELETE FROM outcomes WHERE input_key IN (SELECT value FROM json_each(:keys));

-- name: old_items
-- Items.
WITH first_rows AS (
    SELECT i.item_key AS key, i.blob, 1 + length(i.payload) / 4096 AS cost
    FROM collected_calls AS c
    CROSS JOIN items AS i ON i.input_key BETWEEN c.call_key << 32 AND (c.call_key << 32) + 4294967295
    LIMIT :limit
), chunk AS (
    SELECT key, blob, cost, sum(cost) OVER (ORDER BY key ROWS UNBOUNDED PRECEDING) - cost AS cost_before FROM first_rows
)
SELECT json_group_array(key) AS keys, json_group_array(DISTINCT blob) AS blobs, coalesce(sum(cost), 0) AS cost
FROM chunk WHERE cost_before < :limit;

-- name: remove_items
-- Remove these.
DELETE FROM items WHERE item_key IN (SELECT value FROM json_each(:keys));

-- name: old_outcome_runs
-- Runs of outcomes.
SELECT json_group_array(key) AS keys, '[]' AS blobs, count(*) AS cost FROM (
    SELECT r.first_key AS key FROM collected_calls AS c
    CROSS JOIN outcome_runs AS r ON r.first_key BETWEEN c.call_key << 32 AND (c.call_key << 32) + 4294967295
    LIMIT :limit
);

-- name: remove_outcome_runs
-- Remove these.
DELETE FROM outcome_runs WHERE first_key IN (SELECT value FROM json_each(:keys));

-- name: old_histories
-- Histories.
SELECT json_group_array(key) AS keys, '[]' AS blobs, count(*) AS cost FROM (
    SELECT h.input_key AS key FROM collected_calls AS c
    CROSS JOIN histories AS h ON h.input_key BETWEEN c.call_key << 32 AND (c.call_key << 32) + 4294967295
    LIMIT :limit
);

-- name: remove_histories
-- Remove these.
DELETE FROM histories WHERE input_key IN (SELECT value FROM json_each(:keys));

-- name: remove_counts
-- The counts of calls of which nothing else is left ...
DELETE FROM call_counts WHERE call_key IN (SELECT call_key FROM collected_calls);

-- name: forget_calls
-- ... and so there is nothing more to remove of them.
DELETE FROM collected_calls;

-- name: old_apps
-- The keys of apps without calls that stopped before a time, first those that stopped first.
SELECT json_group_array(app_key) AS keys FROM (
    SELECT a.app_key FROM apps AS a INDEXED BY stopped_apps
    WHERE a.stopped_at > 0 AND a.stopped_at < :before
        AND NOT EXISTS (SELECT 1 FROM calls AS c WHERE c.app_key = a.app_key)
        AND NOT EXISTS (SELECT 1 FROM app_versions AS v WHERE v.app_key = a.app_key)
    ORDER BY a.stopped_at LIMIT :limit
);

-- name: blobs_of_apps
-- The blobs that their functions name.
SELECT json_group_array(blob) AS blobs FROM (
    SELECT blob FROM functions WHERE app_key IN (SELECT value FROM json_each(:keys))
    UNION
    SELECT i.blob FROM functions AS f JOIN image_blobs AS i USING (function_key)
    WHERE f.app_key IN (SELECT value FROM json_each(:keys))
);

-- name: remove_functions
-- Their functions.
DELETE FROM functions WHERE app_key IN (SELECT value FROM json_each(:keys));

-- name: remove_apps
-- The apps themselves.
DELETE FROM apps WHERE app_key IN (SELECT value FROM json_each(:keys));

-- name: remove_logs
-- Those of the oldest lines that were written before a time. A line whose clock was behind may wait for its neighbours.
DELETE FROM logs WHERE seq IN (
    SELECT seq FROM (SELECT seq, at FROM logs ORDER BY seq LIMIT :limit) WHERE at < :before
);
