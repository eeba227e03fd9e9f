-- oldest: 1
-- A task has entered when its first analyst was claimed, or when it is past analysis; that is never taken back. `job.entry` marks the
-- queued jobs of tasks that have not: the claim can then leave them out without a look at their tasks, however many wait.

ALTER TABLE task ADD COLUMN entered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN entry INTEGER NOT NULL DEFAULT 0;

CREATE INDEX task_entered ON task (project, row, issue_base, exempt) WHERE entered = 1 AND stage NOT IN ('done', 'cancelled');
CREATE INDEX task_aside ON task (project, row, issue_base, exempt)
WHERE entered = 0 AND stage NOT IN ('done', 'cancelled') AND (exempt = 1 OR park_reason IS NOT NULL);
CREATE INDEX job_claim ON job (priority DESC, id, project, task, not_before, state, blocked, entry, role)
WHERE state = 'queued' AND blocked = 0;
CREATE INDEX job_entry ON job (project, blocked, task) WHERE state = 'queued' AND entry = 1;
