-- Recompute `blocked` of the active jobs whose own issue is :issue or waits for it; of all active jobs when :issue is NULL. Only what
-- changes is written: every start asks for all, and writing them anew would be most of it.
UPDATE job INDEXED BY job_one_active SET blocked = NOT blocked
WHERE job.state IN ('queued', 'running') AND job.task IN (
    SELECT task.row FROM task WHERE task.project = :project AND task.issue_base = :issue
    UNION ALL
    SELECT task.row FROM dependency
    CROSS JOIN task ON task.project = dependency.project AND task.issue_base = dependency.issue
    WHERE dependency.project = :project AND dependency.on_issue = :issue
    UNION ALL
    SELECT active.task FROM job AS active WHERE :issue IS NULL AND active.state IN ('queued', 'running')
) AND job.blocked <> EXISTS (
    SELECT 1 FROM task
    CROSS JOIN open_dependency AS open ON open.project = task.project AND open.issue = task.issue_base
    WHERE task.row = job.task
)
