-- Statements of the reading side. Parameters are named.

-- name: running_apps
-- Apps that run, and others with open calls, oldest first. Of the versions of a deployed app only the one that serves runs.
SELECT app_id, name, created_at, stopped_at, workspace, environment FROM apps AS a
WHERE stopped_at = 0 AND NOT EXISTS (SELECT 1 FROM app_versions AS v WHERE v.app_key = a.app_key AND NOT v.is_serving)
    OR EXISTS (SELECT 1 FROM calls AS c WHERE c.app_key = a.app_key AND c.state = '')
ORDER BY app_key;

-- name: running_functions
-- Their functions, oldest first; of those on demand the ones that have something to run, or are kept warm.
SELECT f.function_id, a.app_id, a.name AS app_name, a.workspace, a.environment, f.name, f.cpu_milli, f.memory_mib, f.timeout_seconds,
    f.startup_timeout_seconds, f.max_retries, f.initial_delay_seconds, f.backoff_coefficient,
    f.max_delay_seconds, f.min_containers, f.max_containers, f.buffer_containers, f.scaledown_window_seconds,
    f.gpus, f.gpu_kind, f.labels, f.disk_mib, f.abilities, f.runtime, f.host_id, f.is_generator, f.max_inputs, f.target_inputs,
    f.body, f.blob, f.image_blobs
FROM functions AS f JOIN apps AS a USING (app_key)
WHERE (
    a.stopped_at = 0 AND NOT EXISTS (SELECT 1 FROM app_versions AS v WHERE v.app_key = a.app_key AND NOT v.is_serving)
    OR EXISTS (SELECT 1 FROM calls AS c WHERE c.app_key = a.app_key AND c.state = '')
) AND (
    f.function_id NOT GLOB 'fo-*' OR f.min_containers > 0
    OR f.function_key IN (SELECT o.function_key FROM calls AS o INDEXED BY open_calls WHERE o.state = '')
)
ORDER BY f.function_key;

-- name: function
-- One function.
SELECT f.function_id, a.app_id, a.name AS app_name, a.workspace, a.environment, f.name, f.cpu_milli, f.memory_mib, f.timeout_seconds,
    f.startup_timeout_seconds, f.max_retries, f.initial_delay_seconds, f.backoff_coefficient,
    f.max_delay_seconds, f.min_containers, f.max_containers, f.buffer_containers, f.scaledown_window_seconds,
    f.gpus, f.gpu_kind, f.labels, f.disk_mib, f.abilities, f.runtime, f.host_id, f.is_generator, f.max_inputs, f.target_inputs,
    f.body, f.blob, f.image_blobs
FROM functions AS f JOIN apps AS a USING (app_key)
WHERE f.function_id = :function_id;

-- name: on_demand_count
-- How many functions on demand there are.
SELECT count(*) AS functions FROM functions WHERE function_id >= 'fo-' AND function_id < 'fo.';

-- name: unused_functions
-- Of the oldest of these, those of which no call is kept.
SELECT function_id FROM (
    SELECT function_id, function_key FROM functions WHERE function_id >= 'fo-' AND function_id < 'fo.'
    ORDER BY function_key LIMIT :older
)
WHERE function_key NOT IN (SELECT function_key FROM calls)
ORDER BY function_key LIMIT :limit;

-- name: open_calls
-- Calls that are not finished, with their outcome counts and the ends of those they come after, in the order of the index.
SELECT c.call_key, c.call_id, f.function_id, c.kind, c.created_at, c.attached, c.durable,
    c.priority, c.deadline, c.after_calls, c.run_anyway, c.not_before, c.closed,
    (SELECT json_group_object(n.state, n.outcomes) FROM call_counts AS n WHERE n.call_key = c.call_key) AS counts,
    CASE WHEN c.after_calls = '[]' THEN '[]' ELSE (
        SELECT json_group_array(json_array(d.call_id, d.state)) FROM (
            SELECT e.call_id, e.state FROM json_each(c.after_calls) AS a JOIN calls AS e ON e.call_id = a.value
            WHERE e.state <> '' ORDER BY a.key
        ) AS d
    ) END AS ended
FROM calls AS c INDEXED BY open_calls JOIN functions AS f USING (function_key)
WHERE c.state = ''
ORDER BY c.app_key, c.call_key;

-- name: open_inputs
-- The first and the last key of the inputs of each of them that has any, and how many there are, in the same order.
SELECT c.call_key, min(i.input_key) AS first_key, max(i.input_key) AS last_key, count(*) AS input_count
FROM calls AS c INDEXED BY open_calls
CROSS JOIN inputs AS i ON i.input_key BETWEEN c.call_key << 32 AND (c.call_key << 32) + 4294967295
WHERE c.state = ''
GROUP BY c.app_key, c.call_key
ORDER BY c.app_key, c.call_key;

-- name: inputs_between
-- Inputs of one call in order, and whether each has ended.
SELECT i.input_key,
    EXISTS (SELECT 1 FROM outcomes AS o WHERE o.input_key = i.input_key) OR i.input_key < coalesce((
        SELECT r.first_key + r.input_count FROM outcome_runs AS r
        WHERE r.first_key <= i.input_key ORDER BY r.first_key DESC LIMIT 1
    ), 0) AS has_ended
FROM inputs AS i WHERE i.input_key BETWEEN :first_key AND :last_key ORDER BY i.input_key;

-- name: open_histories
-- What has happened to those of them that have not ended.
SELECT h.input_key, h.attempts, h.failures, h.losses, h.kills, h.alone, h.retry_at
FROM calls AS c INDEXED BY open_calls
CROSS JOIN histories AS h ON h.input_key BETWEEN c.call_key << 32 AND (c.call_key << 32) + 4294967295
WHERE c.state = ''
    AND EXISTS (SELECT 1 FROM inputs AS i WHERE i.input_key = h.input_key)
    AND NOT EXISTS (SELECT 1 FROM outcomes AS o WHERE o.input_key = h.input_key)
    AND h.input_key >= coalesce((
        SELECT r.first_key + r.input_count FROM outcome_runs AS r
        WHERE r.first_key <= h.input_key ORDER BY r.first_key DESC LIMIT 1
    ), 0)
ORDER BY c.app_key, c.call_key, h.input_key;

-- name: workers
-- Workers that took part, oldest first.
SELECT worker_id, name FROM workers ORDER BY worker_key;

-- name: last_log_seq
-- The number of the newest line, 0 for none.
SELECT coalesce(max(seq), 0) FROM logs;

-- name: last_call_key
-- The highest key that a call has or rows are left of, 0 for none.
SELECT coalesce(max(call_key), 0) FROM (SELECT call_key FROM calls UNION ALL SELECT call_key FROM collected_calls);

-- name: call_keys
-- The keys of these calls as one JSON object.
SELECT json_group_object(call_id, call_key) FROM calls WHERE call_id IN (SELECT value FROM json_each(:call_ids));

-- name: states
-- The final states of these calls as one JSON object, empty for open ones.
SELECT json_group_object(call_id, state) FROM calls WHERE call_id IN (SELECT value FROM json_each(:call_ids));

-- name: payloads
-- Payloads of these inputs.
SELECT input_key, payload FROM inputs WHERE input_key IN (SELECT value FROM json_each(:input_keys));

-- name: call_key
-- The key of one call, in a JSON array like those of the lists below.
SELECT json_group_array(call_key) FROM calls WHERE call_id = :call_id;

-- name: newest_calls
-- The keys of the newest calls.
SELECT json_group_array(call_key) FROM (SELECT call_key FROM calls ORDER BY call_key DESC LIMIT :limit);

-- name: newest_open_calls
-- Those of open ones: the newest of the newest of each app, so that a million open calls need not be walked or sorted.
SELECT json_group_array(value) FROM (
    SELECT newest.value FROM apps AS a, json_each((
        SELECT json_group_array(call_key) FROM (
            SELECT c.call_key FROM calls AS c INDEXED BY open_calls
            WHERE c.state = '' AND c.app_key = a.app_key ORDER BY c.call_key DESC LIMIT :limit
        )
    )) AS newest
    ORDER BY newest.value DESC LIMIT :limit
);

-- name: newest_calls_of_app
-- Those of the apps with this id or name, from the index alone.
SELECT json_group_array(call_key) FROM (
    SELECT call_key FROM calls WHERE app_key IN (SELECT app_key FROM apps WHERE app_id = :app OR name = :app)
    ORDER BY call_key DESC LIMIT :limit
);

-- name: newest_open_calls_of_app
-- Those of open ones.
SELECT json_group_array(call_key) FROM (
    SELECT call_key FROM calls INDEXED BY open_calls
    WHERE state = '' AND app_key IN (SELECT app_key FROM apps WHERE app_id = :app OR name = :app)
    ORDER BY call_key DESC LIMIT :limit
);

-- name: calls
-- Calls by their keys, newest first.
SELECT c.call_id, a.app_id, a.name AS app_name, f.function_id, f.name AS function_name, c.kind, c.created_at,
    c.attached, c.durable, c.closed, c.total, c.state, c.finished_at,
    c.priority, c.deadline, c.after_calls, c.run_anyway, c.not_before,
    (SELECT json_group_object(n.state, n.outcomes) FROM call_counts AS n WHERE n.call_key = c.call_key) AS counts
FROM calls AS c JOIN functions AS f USING (function_key) JOIN apps AS a ON a.app_key = c.app_key
WHERE c.call_key IN (SELECT value FROM json_each(:call_keys))
ORDER BY c.call_key DESC;

-- name: apps
-- All apps, newest first.
SELECT app_id, name, created_at, stopped_at, workspace, environment FROM apps ORDER BY app_key DESC LIMIT :limit;

-- name: app
-- The app with this id, else the newest of this name.
SELECT app_id, name, created_at, stopped_at, workspace, environment FROM apps
WHERE app_id = :app OR name = :app
ORDER BY app_id = :app DESC, app_key DESC LIMIT 1;

-- name: outcomes
-- The first of a call's outcomes after a seq, and the first of its runs that reach beyond it, each in order.
SELECT input_key, 1 AS input_count, seq, attempts, state, failure, reason, body, at, blob FROM (
    SELECT * FROM outcomes
    WHERE call_key = (SELECT call_key FROM calls WHERE call_id = :call_id) AND seq > :after_seq
    ORDER BY seq LIMIT :limit
)
UNION ALL
SELECT first_key, input_count, first_seq, 0, state, failure, reason, body, at, '' FROM (
    SELECT * FROM outcome_runs
    WHERE call_key = (SELECT call_key FROM calls WHERE call_id = :call_id) AND first_seq + input_count - 1 > :after_seq
    ORDER BY first_seq LIMIT :limit
);

-- name: failures
-- The first of a call's outcomes and runs that are no success, each in order. It passes over the successes before them.
SELECT input_key, 1 AS input_count, seq, attempts, state, failure, reason, body, at, blob FROM (
    SELECT * FROM outcomes
    WHERE call_key = (SELECT call_key FROM calls WHERE call_id = :call_id) AND state <> 'succeeded'
    ORDER BY seq LIMIT :limit
)
UNION ALL
SELECT first_key, input_count, first_seq, 0, state, failure, reason, body, at, '' FROM (
    SELECT * FROM outcome_runs
    WHERE call_key = (SELECT call_key FROM calls WHERE call_id = :call_id) AND state <> 'succeeded'
    ORDER BY first_seq LIMIT :limit
);

-- name: outcome
-- One input's outcome, alone or in a run.
WITH wanted (input_key) AS (SELECT ((SELECT call_key FROM calls WHERE call_id = :call_id) << 32) + :index)
SELECT o.input_key, o.seq, o.attempts, o.state, o.failure, o.reason, o.body, o.at, o.blob
FROM wanted CROSS JOIN outcomes AS o USING (input_key)
UNION ALL
SELECT w.input_key, r.first_seq + w.input_key - r.first_key, 0, r.state, r.failure, r.reason, r.body, r.at, ''
FROM wanted AS w CROSS JOIN outcome_runs AS r
WHERE r.first_key = (SELECT max(first_key) FROM outcome_runs WHERE first_key <= w.input_key)
    AND r.first_key + r.input_count > w.input_key;

-- name: items
-- A generator's items in order.
SELECT seq, payload, blob FROM items
WHERE input_key = ((SELECT call_key FROM calls WHERE call_id = :call_id) << 32) + :index AND seq > :after_seq
ORDER BY seq LIMIT :limit;

-- name: call_logs
-- A call's lines in order.
SELECT seq, at, app_id, call_id, input_id, container_id, function_name, stream, text FROM logs
WHERE call_id = :call_id AND call_id <> '' AND seq > :after_seq
ORDER BY seq LIMIT :limit;

-- name: app_logs
-- An app's lines in order.
SELECT seq, at, app_id, call_id, input_id, container_id, function_name, stream, text FROM logs
WHERE app_id = :app_id AND seq > :after_seq
ORDER BY seq LIMIT :limit;

-- name: dead_letters
-- Lost inputs that were neither replayed nor dropped, newest first; of the apps with this id or name, or of all.
SELECT o.input_key, c.call_id, a.name AS app_name, f.function_id, f.name AS function_name, o.attempts, o.at, o.reason,
    coalesce(i.blob, '') AS blob
FROM outcomes AS o INDEXED BY dead_letters
CROSS JOIN calls AS c USING (call_key) JOIN functions AS f USING (function_key) JOIN apps AS a ON a.app_key = c.app_key
LEFT JOIN inputs AS i ON i.input_key = o.input_key
WHERE o.state = 'lost' AND o.letter IS NULL AND (:app = '' OR a.app_id = :app OR a.name = :app)
ORDER BY o.at DESC, o.input_key DESC LIMIT :limit;

-- name: dead_letter
-- One of them.
SELECT o.input_key, c.call_id, a.name AS app_name, f.function_id, f.name AS function_name, o.attempts, o.at, o.reason,
    coalesce(i.blob, '') AS blob
FROM calls AS c CROSS JOIN outcomes AS o ON o.input_key = (c.call_key << 32) + :index
JOIN functions AS f USING (function_key) JOIN apps AS a ON a.app_key = c.app_key
LEFT JOIN inputs AS i ON i.input_key = o.input_key
WHERE c.call_id = :call_id AND o.state = 'lost' AND o.letter IS NULL;

-- name: dead_letter_count
-- How many there are.
SELECT count(*) FROM outcomes AS o INDEXED BY dead_letters
CROSS JOIN calls AS c USING (call_key) JOIN apps AS a USING (app_key)
WHERE o.state = 'lost' AND o.letter IS NULL AND (:app = '' OR a.app_id = :app OR a.name = :app);

-- name: blobs_in_use
-- Those of these blobs that something names, as one JSON array.
SELECT json_group_array(w.value) FROM json_each(:sha256) AS w
WHERE EXISTS (SELECT 1 FROM inputs WHERE blob = w.value AND blob <> '')
    OR EXISTS (SELECT 1 FROM outcomes WHERE blob = w.value AND blob <> '')
    OR EXISTS (SELECT 1 FROM items WHERE blob = w.value AND blob <> '')
    OR EXISTS (SELECT 1 FROM functions WHERE blob = w.value AND blob <> '')
    OR EXISTS (SELECT 1 FROM volume_chunks WHERE blob = w.value)
    OR EXISTS (SELECT 1 FROM image_blobs WHERE blob = w.value);
