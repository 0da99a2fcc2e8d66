-- What an image takes along is in use as long as its function is kept; schema.sql says what each is for.
ALTER TABLE functions ADD COLUMN image_blobs TEXT NOT NULL DEFAULT '[]';

CREATE TABLE image_blobs (
    blob TEXT NOT NULL,
    function_key INTEGER NOT NULL,
    PRIMARY KEY (blob, function_key)
) WITHOUT ROWID;
CREATE INDEX image_blobs_by_function ON image_blobs (function_key);
CREATE TRIGGER name_image_blobs AFTER INSERT ON functions BEGIN
    INSERT OR IGNORE INTO image_blobs (blob, function_key) SELECT value, new.function_key FROM json_each(new.image_blobs);
END;
CREATE TRIGGER forget_image_blobs AFTER DELETE ON functions BEGIN
    DELETE FROM image_blobs WHERE function_key = old.function_key;
END;

UPDATE functions SET image_blobs = named_blobs(body, blob);
INSERT INTO image_blobs (blob, function_key) SELECT value, function_key FROM functions, json_each(functions.image_blobs);
