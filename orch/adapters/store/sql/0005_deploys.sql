-- oldest: 1
-- A project's one running deploy is its deploy slot; its id is the slot's epoch.

ALTER TABLE task ADD COLUMN watch TEXT NOT NULL DEFAULT '';

CREATE TABLE deploy (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    task INTEGER NOT NULL REFERENCES task (row),
    run INTEGER NOT NULL REFERENCES run (id),
    sha TEXT NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    due_at INTEGER,
    deadline_at INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    exit_code INTEGER,
    detail TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX deploy_slot ON deploy (project) WHERE state = 'running';
CREATE INDEX deploy_of_project ON deploy (project, state, id);
CREATE INDEX deploy_of_task ON deploy (task, id);

CREATE INDEX task_undeployed ON task (project, row) WHERE landed IS NOT NULL AND deployed = 0 AND stage IN ('deploy', 'cancelled');

CREATE TABLE watch (
    deploy INTEGER PRIMARY KEY REFERENCES deploy (id),
    project TEXT NOT NULL,
    task INTEGER NOT NULL REFERENCES task (row),
    sha TEXT NOT NULL,
    state TEXT NOT NULL,
    bad INTEGER NOT NULL,
    probes INTEGER NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    ended_at INTEGER,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX watch_of_project ON watch (project, deploy);
CREATE INDEX watch_open ON watch (deploy) WHERE state = 'watching';
