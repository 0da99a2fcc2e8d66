-- Statements of a commit. Those with `VALUES (…)` of parameters are repeated for many rows in one statement.

-- name: insert_apps
-- New apps; a known one stays as it is.
INSERT INTO apps (app_id, name, created_at, workspace, environment) VALUES (?, ?, ?, ?, ?) ON CONFLICT (app_id) DO NOTHING;

-- name: end_apps
-- The first end of an app counts.
WITH ended (app_id, stopped_at) AS (VALUES (?, ?))
UPDATE apps SET stopped_at = ended.stopped_at
FROM ended WHERE apps.app_id = ended.app_id AND apps.stopped_at = 0;

-- name: drop_functions
-- Functions that nobody needs; those of which a call is kept stay.
DELETE FROM functions
WHERE function_id IN (SELECT value FROM json_each(?)) AND function_key NOT IN (SELECT function_key FROM calls);

-- name: insert_functions
-- New functions; one of an unknown app breaks NOT NULL.
INSERT INTO functions (
    function_id, app_key, name, cpu_milli, memory_mib, timeout_seconds, startup_timeout_seconds,
    max_retries, initial_delay_seconds, backoff_coefficient, max_delay_seconds,
    min_containers, max_containers, buffer_containers, scaledown_window_seconds,
    gpus, gpu_kind, labels, disk_mib, abilities, runtime, host_id, is_generator, max_inputs, target_inputs, body, blob,
    image_blobs
)
VALUES (?, (SELECT app_key FROM apps WHERE app_id = ?), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (function_id) DO NOTHING;

-- name: set_scaling
-- The last word on one function's containers counts.
UPDATE functions SET min_containers = ?, max_containers = ?, buffer_containers = ?, scaledown_window_seconds = ?
WHERE function_id = ?;

-- name: insert_calls
-- New calls; one of an unknown function breaks NOT NULL. A known one brings a new key, and stays as it is.
WITH new (
    call_key, call_id, function_id, kind, created_at, attached, durable, priority, deadline, after_calls, run_anyway,
    not_before
) AS (VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?))
INSERT INTO calls (
    call_key, call_id, function_key, app_key, kind, created_at, attached, durable,
    priority, deadline, after_calls, run_anyway, not_before
)
SELECT call_key, call_id, f.function_key, f.app_key, kind, created_at, attached, durable,
    priority, deadline, after_calls, run_anyway, not_before
FROM new LEFT JOIN functions AS f USING (function_id)
WHERE true
ON CONFLICT DO NOTHING;

-- name: insert_inputs
-- New inputs; known ones stay as they are.
INSERT INTO inputs (input_key, payload, blob) VALUES (?, ?, ?) ON CONFLICT (input_key) DO NOTHING;

-- name: close_calls
-- The first close of a call counts.
WITH ending (call_key, total) AS (VALUES (?, ?))
UPDATE calls SET closed = 1, total = ending.total
FROM ending WHERE calls.call_key = ending.call_key AND calls.closed = 0;

-- name: insert_outcomes
-- New outcomes; an input that has one keeps it, alone or in a run. The trigger count_outcomes counts those that are new.
WITH new (input_key, call_key, seq, attempts, state, failure, reason, body, at, blob) AS (
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
)
INSERT INTO outcomes (input_key, call_key, seq, attempts, state, failure, reason, body, at, blob)
SELECT * FROM new
WHERE new.input_key >= coalesce((
    SELECT first_key + input_count FROM outcome_runs WHERE first_key <= new.input_key ORDER BY first_key DESC LIMIT 1
), 0)
ON CONFLICT (input_key) DO NOTHING;

-- name: ended_between
-- Where inputs of one call have ended already, as first keys and counts, in order.
SELECT input_key AS first_key, 1 AS input_count FROM outcomes
WHERE input_key >= :first_key AND input_key < :end_key
UNION ALL
SELECT first_key, input_count FROM outcome_runs
WHERE first_key >= :first_key_of_call AND first_key < :end_key AND first_key + input_count > :first_key
ORDER BY first_key;

-- name: insert_outcome_runs
-- Runs that are known to be new. The trigger count_outcome_runs counts them.
INSERT INTO outcome_runs (first_key, input_count, call_key, first_seq, state, failure, reason, body, at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (first_key) DO NOTHING;

-- name: close_letters
-- The first end of a dead letter counts: the id of the call that replays it, or an empty text.
WITH closed (input_key, letter) AS (VALUES (?, ?))
UPDATE outcomes SET letter = closed.letter
FROM closed
WHERE outcomes.input_key = closed.input_key AND outcomes.state = 'lost' AND outcomes.letter IS NULL;

-- name: insert_histories
-- The last word on an input counts.
INSERT INTO histories (input_key, attempts, failures, losses, kills, alone, retry_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (input_key) DO UPDATE SET
    attempts = excluded.attempts, failures = excluded.failures, losses = excluded.losses,
    kills = excluded.kills, alone = excluded.alone, retry_at = excluded.retry_at;

-- name: finish_calls
-- The first end of a call counts.
WITH ended (call_key, state, finished_at) AS (VALUES (?, ?, ?))
UPDATE calls SET state = ended.state, finished_at = ended.finished_at
FROM ended WHERE calls.call_key = ended.call_key AND calls.state = '';

-- name: insert_items
-- New items; known ones stay as they are.
INSERT INTO items (input_key, seq, payload, blob) VALUES (?, ?, ?, ?) ON CONFLICT (input_key, seq) DO NOTHING;

-- name: drop_items
-- Everything one input yielded.
DELETE FROM items WHERE input_key = ?;

-- name: insert_workers
-- New workers; a known one stays as it is.
INSERT INTO workers (worker_id, name) VALUES (?, ?) ON CONFLICT (worker_id) DO NOTHING;

-- name: remove_worker
-- One worker that does not come back.
DELETE FROM workers WHERE worker_id = ?;

-- name: insert_logs
-- New lines; known ones stay as they are.
INSERT INTO logs (seq, at, app_id, call_id, input_id, container_id, function_name, stream, text)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (seq) DO NOTHING;
