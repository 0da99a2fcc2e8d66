-- Statements of the reading side. Parameters are named.

-- name: running_apps
-- Apps that run, and stopped ones with open calls, oldest first.
SELECT app_id, name, created_at, stopped_at FROM apps
WHERE stopped_at = 0 OR app_key IN (SELECT app_key FROM calls WHERE state = '')
ORDER BY app_key;

-- name: running_functions
-- Their functions, oldest first.
SELECT f.function_id, a.app_id, a.name AS app_name, f.name, f.cpu_milli, f.memory_mib, f.timeout_seconds,
    f.startup_timeout_seconds, f.max_retries, f.initial_delay_seconds, f.backoff_coefficient,
    f.max_delay_seconds, f.min_containers, f.max_containers, f.scaledown_window_seconds,
    f.runtime, f.host_id, f.is_generator, f.body
FROM functions AS f JOIN apps AS a USING (app_key)
WHERE a.stopped_at = 0 OR app_key IN (SELECT app_key FROM calls WHERE state = '')
ORDER BY f.function_key;

-- name: function
-- One function.
SELECT f.function_id, a.app_id, a.name AS app_name, f.name, f.cpu_milli, f.memory_mib, f.timeout_seconds,
    f.startup_timeout_seconds, f.max_retries, f.initial_delay_seconds, f.backoff_coefficient,
    f.max_delay_seconds, f.min_containers, f.max_containers, f.scaledown_window_seconds,
    f.runtime, f.host_id, f.is_generator, f.body
FROM functions AS f JOIN apps AS a USING (app_key)
WHERE f.function_id = :function_id;

-- name: open_calls
-- Calls that are not finished, oldest first, with their outcome counts and the indices of their inputs without outcome.
SELECT c.call_id, f.function_id, c.kind, c.created_at, c.attached, c.durable, c.closed, c.total,
    (SELECT json_group_object(n.state, n.outcomes) FROM call_counts AS n WHERE n.call_key = c.call_key) AS counts,
    (
        SELECT json_group_array(i.input_key & 4294967295) FROM inputs AS i
        WHERE i.input_key BETWEEN c.call_key << 32 AND (c.call_key << 32) + 4294967295
            AND NOT EXISTS (SELECT 1 FROM outcomes AS o WHERE o.input_key = i.input_key)
    ) AS unfinished
FROM calls AS c INDEXED BY open_calls JOIN functions AS f USING (function_key)
WHERE c.state = ''
ORDER BY c.call_key;

-- name: last_log_seq
-- The number of the newest line, 0 for none.
SELECT coalesce(max(seq), 0) FROM logs;

-- name: call_keys
-- The keys of these calls as one JSON object.
SELECT json_group_object(call_id, call_key) FROM calls WHERE call_id IN (SELECT value FROM json_each(:call_ids));

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
-- Those of open ones; without the hint SQLite would walk all calls backwards.
SELECT json_group_array(call_key) FROM (
    SELECT call_key FROM calls INDEXED BY open_calls WHERE state = '' ORDER BY call_key DESC LIMIT :limit
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
    (SELECT json_group_object(n.state, n.outcomes) FROM call_counts AS n WHERE n.call_key = c.call_key) AS counts
FROM calls AS c JOIN functions AS f USING (function_key) JOIN apps AS a ON a.app_key = c.app_key
WHERE c.call_key IN (SELECT value FROM json_each(:call_keys))
ORDER BY c.call_key DESC;

-- name: apps
-- All apps, newest first.
SELECT app_id, name, created_at, stopped_at FROM apps ORDER BY app_key DESC LIMIT :limit;

-- name: app
-- The app with this id, else the newest of this name.
SELECT app_id, name, created_at, stopped_at FROM apps
WHERE app_id = :app OR name = :app
ORDER BY app_id = :app DESC, app_key DESC LIMIT 1;

-- name: outcomes
-- A call's outcomes in the order they came.
SELECT o.input_key, o.seq, o.attempts, o.state, o.failure, o.reason, o.body, o.at
FROM outcomes AS o
WHERE o.call_key = (SELECT call_key FROM calls WHERE call_id = :call_id) AND o.seq > :after_seq
ORDER BY o.seq LIMIT :limit;

-- name: outcome
-- One input's outcome.
SELECT o.input_key, o.seq, o.attempts, o.state, o.failure, o.reason, o.body, o.at
FROM outcomes AS o
WHERE o.input_key = ((SELECT call_key FROM calls WHERE call_id = :call_id) << 32) + :index;

-- name: items
-- A generator's items in order.
SELECT seq, payload FROM items
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
