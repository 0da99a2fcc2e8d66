-- Which version served when an app was stopped: the one to go back to.
ALTER TABLE deployments ADD COLUMN last_served INTEGER NOT NULL DEFAULT 0;
