-- oldest: 1
-- When the last poll of a project's board that was read to its end began: the next one reaches a little behind it.

ALTER TABLE repo ADD COLUMN polled_at INTEGER;
