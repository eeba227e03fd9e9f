-- The claim rule: the first queued job that may run now. A line that ends in marks is there only while all of them hold: "deps" (or
-- "no deps"): dependencies are awaited; "held": an account is paused; "shut" (or "open"): a project lets no new task enter; "budget":
-- a task may cost only so much; "spent": the day's budget is. A deploy under way is a critical window, which money does not cut in half.
WITH
shut AS MATERIALIZED (SELECT value FROM json_each(:shut)), -- shut
admitted AS MATERIALIZED (SELECT value FROM json_each(:admitted)), -- shut
held AS MATERIALIZED (SELECT value FROM json_each(:held)), -- held
closed AS MATERIALIZED (
    SELECT project FROM repo WHERE paused = 1
    UNION
    SELECT project FROM run WHERE outcome IS NULL AND kind = 'agent' GROUP BY project HAVING count(*) >= :per_repo
)
SELECT job.id
FROM job INDEXED BY job_ready -- deps, open
FROM job INDEXED BY job_claim -- deps, shut
FROM job INDEXED BY job_queued -- no deps
CROSS JOIN task ON task.row = job.task
WHERE job.state = 'queued'
    AND job.blocked = 0 -- deps
    AND (job.not_before IS NULL OR job.not_before <= :now)
    AND job.project NOT IN closed
    AND (job.entry = 0 OR job.project NOT IN shut OR job.task IN admitted) -- shut
    AND job.project || ' ' || job.role NOT IN held -- held
    AND task.stage NOT IN ('done', 'cancelled')
    AND task.park_reason IS NULL
    AND task.cancel_requested_at IS NULL
    AND job.stage = 'deploy' -- spent
    AND ( -- budget
        task.budget_lifted = 1 OR job.stage = 'deploy' -- budget
        OR coalesce((SELECT round(sum(cost_usd), 6) FROM run WHERE run.task = task.row), 0) < round(coalesce(task.budget_usd, :budget), 6) -- budget
    ) -- budget
    AND NOT EXISTS (SELECT 1 FROM open_dependency AS open WHERE open.project = task.project AND open.issue = task.issue_base) -- deps
ORDER BY job.priority DESC, job.id
LIMIT 1
