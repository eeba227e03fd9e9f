-- The claim rule: the first queued job that may run now. Lines that end in "deps" are left out while dependencies are not awaited;
-- lines that end in "no deps" stand in for them then.
WITH closed AS MATERIALIZED (
    SELECT project FROM repo WHERE paused = 1
    UNION
    SELECT project FROM run WHERE outcome IS NULL AND kind = 'agent' GROUP BY project HAVING count(*) >= :per_repo
),
frozen AS MATERIALIZED (
    SELECT project FROM freeze
)
SELECT job.id
FROM job INDEXED BY job_ready -- deps
FROM job INDEXED BY job_queued -- no deps
CROSS JOIN task ON task.row = job.task
WHERE job.state = 'queued'
    AND job.blocked = 0 -- deps
    AND (job.not_before IS NULL OR job.not_before <= :now)
    AND job.project NOT IN closed
    AND task.stage NOT IN ('done', 'cancelled')
    AND task.park_reason IS NULL
    AND task.cancel_requested_at IS NULL
    AND (task.stage <> 'analysis' OR task.exempt = 1 OR job.project NOT IN frozen)
    AND NOT EXISTS (SELECT 1 FROM open_dependency AS open WHERE open.project = task.project AND open.issue = task.issue_base) -- deps
ORDER BY job.priority DESC, job.id
LIMIT 1
