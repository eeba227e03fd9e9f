-- oldest: 1
-- Retention: what of an ended task is kept for a while only (its archive, its logs) goes once; the row says that it has gone.

ALTER TABLE task ADD COLUMN retired INTEGER NOT NULL DEFAULT 0;
CREATE INDEX task_retirable ON task (finished_at, row) WHERE swept = 1 AND retired = 0;
CREATE INDEX train_check_ended ON train_check (ended_at) WHERE verdict IS NOT NULL;
CREATE INDEX inbox_ended ON inbox (created_at) WHERE state <> 'pending';
