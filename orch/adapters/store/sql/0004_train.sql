-- oldest: 1
-- The merge train: each run of the test command on a candidate, and what the planner remembers. `landed_seq` is a task's place in the
-- order in which the project's tasks landed.

ALTER TABLE task ADD COLUMN landed_seq INTEGER;
CREATE INDEX task_landed ON task (project, landed_seq) WHERE landed_seq IS NOT NULL;

CREATE TABLE train_check (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    base TEXT NOT NULL,
    sha TEXT NOT NULL,
    tree TEXT NOT NULL,
    environment TEXT NOT NULL,
    run INTEGER REFERENCES run (id),
    verdict TEXT,
    seconds REAL NOT NULL,
    log_path TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    members TEXT NOT NULL,
    tail TEXT NOT NULL
) STRICT;
CREATE INDEX train_check_of_tree ON train_check (project, tree, id);
CREATE INDEX train_check_running ON train_check (project, id) WHERE verdict IS NULL;

CREATE TABLE train (
    project TEXT PRIMARY KEY,
    width INTEGER,
    suspect INTEGER,
    spent INTEGER,
    doubt INTEGER NOT NULL,
    red_main TEXT,
    landings INTEGER NOT NULL,
    landed INTEGER NOT NULL,
    ejected INTEGER NOT NULL,
    checks INTEGER NOT NULL,
    wasted INTEGER NOT NULL,
    lost_swaps INTEGER NOT NULL,
    frozen_s REAL NOT NULL,
    frozen_since INTEGER,
    held TEXT NOT NULL,
    waits TEXT NOT NULL
) STRICT;
