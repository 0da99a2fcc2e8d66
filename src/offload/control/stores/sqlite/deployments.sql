-- Statements for deployed apps and their schedules, of which there are few: each takes one row.

-- name: save_deployment
-- An app under a name; the last word counts.
INSERT INTO deployments (workspace, environment, name, serving, last_served, activated_at, tags)
VALUES (:workspace, :environment, :name, :serving, :last_served, :activated_at, :tags)
ON CONFLICT (workspace, environment, name)
DO UPDATE SET serving = excluded.serving, last_served = excluded.last_served, activated_at = excluded.activated_at,
    tags = excluded.tags
RETURNING deployment_key;

-- name: forget_versions
-- Its versions, before those that are kept are written again.
DELETE FROM app_versions WHERE deployment_key = :deployment_key;

-- name: save_version
-- One of its versions; one that was never saved as an app breaks the key's reference.
INSERT INTO app_versions (
    app_key, deployment_key, number, is_serving, digest, created_at, functions, schedules, tag, deployed_by
)
SELECT app_key, :deployment_key, :number, :is_serving, :digest, :created_at, :functions, :schedules, :tag, :deployed_by
FROM apps WHERE app_id = :app_id;

-- name: save_schedule
-- A schedule; the last word counts.
INSERT INTO schedules (workspace, environment, app, function, spec, anchor, cursor, args, is_paused)
VALUES (:workspace, :environment, :app, :function, :spec, :anchor, :cursor, :args, :is_paused)
ON CONFLICT (workspace, environment, app, function)
DO UPDATE SET spec = excluded.spec, anchor = excluded.anchor, cursor = excluded.cursor, args = excluded.args,
    is_paused = excluded.is_paused;

-- name: remove_runs
-- The runs of a schedule ...
DELETE FROM schedule_runs WHERE schedule_key IN (
    SELECT schedule_key FROM schedules
    WHERE workspace = :workspace AND environment = :environment AND app = :app AND function = :function
);

-- name: remove_schedule
-- ... and the schedule.
DELETE FROM schedules
WHERE workspace = :workspace AND environment = :environment AND app = :app AND function = :function;

-- name: save_run
-- What became of a tick.
INSERT INTO schedule_runs (schedule_key, tick, call_id, at, state, reason)
SELECT schedule_key, :tick, :call_id, :at, :state, :reason FROM schedules
WHERE workspace = :workspace AND environment = :environment AND app = :app AND function = :function
ON CONFLICT DO NOTHING;

-- name: forget_runs
-- Runs of a schedule before the last ones.
DELETE FROM schedule_runs WHERE (schedule_key, tick, call_id) IN (
    SELECT r.schedule_key, r.tick, r.call_id FROM schedule_runs AS r JOIN schedules AS s USING (schedule_key)
    WHERE s.workspace = :workspace AND s.environment = :environment AND s.app = :app AND s.function = :function
    ORDER BY r.tick DESC, r.call_id DESC LIMIT -1 OFFSET :kept
);

-- name: deployments
-- All deployed apps, oldest first.
SELECT deployment_key, workspace, environment, name, serving, last_served, activated_at, tags FROM deployments
ORDER BY deployment_key;

-- name: versions
-- Their versions.
SELECT v.deployment_key, v.number, a.app_id, v.digest, v.created_at, v.functions, v.schedules, v.tag, v.deployed_by
FROM app_versions AS v JOIN apps AS a USING (app_key) ORDER BY v.deployment_key, v.number;

-- name: schedules
-- All schedules, oldest first.
SELECT schedule_key, workspace, environment, app, function, spec, anchor, cursor, args, is_paused FROM schedules
ORDER BY schedule_key;

-- name: runs
-- Their runs.
SELECT schedule_key, tick, call_id, at, state, reason FROM schedule_runs ORDER BY schedule_key, tick, call_id;

-- name: save_web_key
-- A key of web endpoints; it never changes.
INSERT INTO web_keys (key_id, workspace, name, digest, created_at)
VALUES (:key_id, :workspace, :name, :digest, :created_at)
ON CONFLICT DO NOTHING;

-- name: remove_web_key
-- One that opens nothing any more.
DELETE FROM web_keys WHERE key_id = :key_id;

-- name: web_keys
-- All of them.
SELECT key_id, workspace, name, digest, created_at FROM web_keys ORDER BY key_id;
