-- oldest: 1
-- A name of this store's own. What it tells the world carries it, so that a fresh store never takes an older one's words for its own.

INSERT INTO meta (key, value) VALUES ('identity', lower(hex(randomblob(6))));
