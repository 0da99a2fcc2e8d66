-- How many inputs the containers of a function run at the same time.
ALTER TABLE functions ADD COLUMN max_inputs INTEGER NOT NULL DEFAULT 1;
ALTER TABLE functions ADD COLUMN target_inputs INTEGER NOT NULL DEFAULT 1;
