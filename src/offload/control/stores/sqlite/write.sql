-- Statements of a commit. Those with `VALUES (…)` of parameters are repeated for many rows in one statement.

-- name: insert_apps
-- New apps; a known one stays as it is.
INSERT INTO apps (app_id, name, created_at) VALUES (?, ?, ?) ON CONFLICT (app_id) DO NOTHING;

-- name: end_apps
-- The first end of an app counts.
WITH ended (app_id, stopped_at) AS (VALUES (?, ?))
UPDATE apps SET stopped_at = ended.stopped_at
FROM ended WHERE apps.app_id = ended.app_id AND apps.stopped_at = 0;

-- name: insert_functions
-- New functions; one of an unknown app breaks NOT NULL.
INSERT INTO functions (
    function_id, app_key, name, cpu_milli, memory_mib, timeout_seconds, startup_timeout_seconds,
    max_retries, initial_delay_seconds, backoff_coefficient, max_delay_seconds,
    min_containers, max_containers, scaledown_window_seconds, runtime, host_id, is_generator, body
)
VALUES (?, (SELECT app_key FROM apps WHERE app_id = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (function_id) DO NOTHING;

-- name: insert_calls
-- New calls; one of an unknown function breaks NOT NULL.
INSERT INTO calls (call_id, function_key, app_key, kind, created_at, attached, durable)
VALUES (
    ?, (SELECT function_key FROM functions WHERE function_id = ?), (SELECT app_key FROM functions WHERE function_id = ?),
    ?, ?, ?, ?
)
ON CONFLICT (call_id) DO NOTHING;

-- name: insert_inputs
-- New inputs; known ones stay as they are.
INSERT INTO inputs (input_key, payload) VALUES (?, ?) ON CONFLICT (input_key) DO NOTHING;

-- name: close_calls
-- The first close of a call counts.
WITH ending (call_key, total) AS (VALUES (?, ?))
UPDATE calls SET closed = 1, total = ending.total
FROM ending WHERE calls.call_key = ending.call_key AND calls.closed = 0;

-- name: insert_outcomes
-- New outcomes; an input that has one keeps it. The trigger count_outcomes counts those that are new.
INSERT INTO outcomes (input_key, call_key, seq, attempts, state, failure, reason, body, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (input_key) DO NOTHING;

-- name: finish_calls
-- The first end of a call counts.
WITH ended (call_key, state, finished_at) AS (VALUES (?, ?, ?))
UPDATE calls SET state = ended.state, finished_at = ended.finished_at
FROM ended WHERE calls.call_key = ended.call_key AND calls.state = '';

-- name: insert_items
-- New items; known ones stay as they are.
INSERT INTO items (input_key, seq, payload) VALUES (?, ?, ?) ON CONFLICT (input_key, seq) DO NOTHING;

-- name: drop_items
-- Everything one input yielded.
DELETE FROM items WHERE input_key = ?;

-- name: insert_logs
-- New lines; known ones stay as they are.
INSERT INTO logs (seq, at, app_id, call_id, input_id, container_id, function_name, stream, text)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (seq) DO NOTHING;
