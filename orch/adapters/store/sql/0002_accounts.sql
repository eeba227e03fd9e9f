-- oldest: 1
-- An account is what agents run under. While its pause stands no run of it is claimed, but for one try after the pause's end.

CREATE TABLE account (
    name TEXT PRIMARY KEY,
    cause TEXT,
    since INTEGER,
    until INTEGER,
    renewals INTEGER NOT NULL DEFAULT 0,
    trial INTEGER REFERENCES run (id),
    detail TEXT NOT NULL DEFAULT ''
) STRICT;

-- The newest failure of each class and task that may turn out to be the account's.
CREATE TABLE account_failure (
    account TEXT NOT NULL,
    class TEXT NOT NULL,
    task INTEGER NOT NULL REFERENCES task (row),
    at INTEGER NOT NULL,
    PRIMARY KEY (account, class, task)
) STRICT, WITHOUT ROWID;

CREATE INDEX task_parked ON task (park_reason, row) WHERE park_reason IS NOT NULL;
