-- oldest: 1
-- What the line's control keeps: columns that a board's log does not explain, processes that could not be ended, that a task's next
-- attempt begins with the default branch merged in, and what a card says now where that is not what its task was started with.

ALTER TABLE task ADD COLUMN merge_main INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN newest_title TEXT;
ALTER TABLE task ADD COLUMN newest_description TEXT;

CREATE TABLE unexplained (
    project TEXT NOT NULL,
    issue TEXT NOT NULL,
    column_id TEXT NOT NULL,
    looks INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (project, issue)
) STRICT, WITHOUT ROWID;

CREATE TABLE survivor (
    task INTEGER NOT NULL REFERENCES task (row),
    pid INTEGER NOT NULL,
    started INTEGER NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (task, pid, started)
) STRICT, WITHOUT ROWID;
