-- What a function asks of its runtime, and how much of its memory is scratch that it asked for.
ALTER TABLE functions ADD COLUMN disk_mib INTEGER NOT NULL DEFAULT 0;
ALTER TABLE functions ADD COLUMN abilities TEXT NOT NULL DEFAULT '[]';
