-- oldest: 1
-- A dependency is declared here or read from the board's relations: what the board takes back leaves alone what was declared.
-- `closed` is what the board last said of a card that never had a task: it stands in a completed or cancelled column.

ALTER TABLE dependency ADD COLUMN source TEXT NOT NULL DEFAULT 'db';
ALTER TABLE dependency ADD COLUMN closed INTEGER NOT NULL DEFAULT 0;

DROP VIEW open_dependency;
CREATE VIEW open_dependency AS
SELECT dependency.project, dependency.issue, dependency.on_issue
FROM dependency
WHERE coalesce(
    (
        SELECT task.stage NOT IN ('done', 'cancelled') FROM task
        WHERE task.project = dependency.project AND task.issue_base = dependency.on_issue
        ORDER BY task.row DESC LIMIT 1
    ),
    (
        SELECT local_issue.state_id NOT IN ('done', 'cancelled') FROM local_issue
        WHERE local_issue.id = dependency.on_issue AND local_issue.project = dependency.project
    ),
    1 - dependency.closed
);
