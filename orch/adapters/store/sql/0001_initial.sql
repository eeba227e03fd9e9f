-- oldest: 1
-- Times are integer microseconds since 1970 (UTC): they compare and index exactly, where ISO text with and without a fraction sorts
-- wrongly. Values that no query looks into are JSON text. Long text stands last in its table: SQLite then need not walk through it
-- to reach the columns that are asked for.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- ---------------------------------------------------------------------------------------------------------------- tasks

-- The *_base columns are the names without the suffix '#cancelled-<n>' that a cancelled task's names may carry.
CREATE TABLE task (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    issue TEXT NOT NULL,
    issue_base TEXT NOT NULL GENERATED ALWAYS AS (substr(issue, 1, instr(issue || '#cancelled-', '#cancelled-') - 1)) STORED,
    work_item TEXT NOT NULL,
    branch TEXT NOT NULL,
    branch_base TEXT NOT NULL GENERATED ALWAYS AS (substr(branch, 1, instr(branch || '#cancelled-', '#cancelled-') - 1)) STORED,
    branch_take INTEGER NOT NULL,
    stage TEXT NOT NULL,
    awaiting TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    base TEXT,
    head TEXT,
    code_head TEXT,
    shown TEXT,
    ci TEXT,
    pr_number INTEGER,
    train_seq INTEGER,
    landed TEXT,
    deployed INTEGER NOT NULL,
    swept INTEGER NOT NULL,
    exempt INTEGER NOT NULL,
    park_reason TEXT,
    park_since INTEGER,
    cancel_requested_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER,
    counters TEXT NOT NULL,
    title TEXT NOT NULL,
    url TEXT NOT NULL,
    note TEXT NOT NULL,
    park_evidence TEXT NOT NULL,
    description TEXT NOT NULL
) STRICT;

-- One pipeline per issue, however sources race.
CREATE UNIQUE INDEX task_one_live ON task (project, issue) WHERE stage NOT IN ('done', 'cancelled');
CREATE UNIQUE INDEX task_work_item ON task (project, work_item) WHERE stage <> 'cancelled';
-- Over cancelled tasks too: a late effect of an old task can then never name a new one's branch.
CREATE UNIQUE INDEX task_branch ON task (project, branch_base);
CREATE INDEX task_newest ON task (project, issue_base, row, stage);
CREATE INDEX task_by_work_item ON task (work_item COLLATE NOCASE);
CREATE INDEX task_by_issue ON task (issue_base COLLATE NOCASE);
CREATE INDEX task_live ON task (row, project) WHERE stage NOT IN ('done', 'cancelled');
CREATE INDEX task_unswept ON task (row) WHERE stage IN ('done', 'cancelled') AND swept = 0;
CREATE INDEX task_landing ON task (project, exempt DESC, train_seq) WHERE train_seq IS NOT NULL;

CREATE TABLE transition (
    id INTEGER PRIMARY KEY,
    task INTEGER NOT NULL REFERENCES task (row),
    at INTEGER NOT NULL,
    source TEXT,
    target TEXT NOT NULL,
    cause TEXT NOT NULL,
    by TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX transition_of_task ON transition (task, id);

CREATE TABLE verdict (
    id INTEGER PRIMARY KEY,
    task INTEGER NOT NULL REFERENCES task (row),
    stage TEXT NOT NULL,
    run INTEGER REFERENCES run (id),
    attempt INTEGER NOT NULL,
    value TEXT NOT NULL,
    code_head TEXT,
    blob TEXT NOT NULL,
    at INTEGER NOT NULL,
    findings TEXT NOT NULL
) STRICT;
CREATE INDEX verdict_of_task ON verdict (task, stage, id);

-- ---------------------------------------------------------------------------------------------------------------- jobs

-- `blocked` is a filter for the claim, not the rule: it keeps jobs that wait for a dependency out of job_ready, and every write that
-- opens or closes a dependency refreshes it in the same transaction. The claim asks the rule itself once more.
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task INTEGER NOT NULL REFERENCES task (row),
    project TEXT NOT NULL,
    stage TEXT NOT NULL,
    role TEXT NOT NULL,
    mode TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state TEXT NOT NULL,
    blocked INTEGER NOT NULL DEFAULT 0,
    not_before INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    feedback TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX job_one_active ON job (task) WHERE state IN ('queued', 'running');
CREATE INDEX job_ready ON job (priority DESC, id, project, task, not_before, state, blocked) WHERE state = 'queued' AND blocked = 0;
CREATE INDEX job_queued ON job (priority DESC, id, project, task, not_before, state) WHERE state = 'queued';
CREATE INDEX job_delayed ON job (not_before) WHERE state = 'queued' AND not_before IS NOT NULL;
CREATE INDEX job_by_state ON job (state, id);
CREATE INDEX job_of_task ON job (task, id);

CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER REFERENCES job (id),
    task INTEGER NOT NULL REFERENCES task (row),
    project TEXT NOT NULL,
    kind TEXT NOT NULL,
    stage TEXT NOT NULL,
    role TEXT,
    attempt INTEGER NOT NULL,
    agent TEXT NOT NULL,
    model TEXT NOT NULL,
    session TEXT,
    session_cost_usd REAL,
    start_head TEXT,
    end_head TEXT,
    archive TEXT,
    outcome TEXT,
    tokens_input INTEGER NOT NULL,
    tokens_output INTEGER NOT NULL,
    tokens_cache_read INTEGER NOT NULL,
    tokens_cache_creation INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    turns INTEGER NOT NULL,
    exit_code INTEGER,
    log_path TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX run_of_task ON run (task, id);
CREATE INDEX run_of_session ON run (task, session, session_cost_usd) WHERE session IS NOT NULL;
CREATE INDEX run_open ON run (id) WHERE outcome IS NULL;
CREATE INDEX run_open_agents ON run (project) WHERE outcome IS NULL AND kind = 'agent';

-- ---------------------------------------------------------------------------------------------------------------- inbox, outbox

CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    error TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX inbox_pending ON inbox (id) WHERE state = 'pending';

CREATE TABLE handled (
    project TEXT NOT NULL,
    activity TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (project, activity)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    task INTEGER REFERENCES task (row),
    target TEXT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    error TEXT NOT NULL DEFAULT '',
    payload TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_heads ON outbox (project, task, target, id, due_at, state) WHERE state = 'pending';
CREATE INDEX outbox_of_task ON outbox (task, id);
CREATE INDEX outbox_by_state ON outbox (state, id);

-- ---------------------------------------------------------------------------------------------------------------- repos

CREATE TABLE repo (
    project TEXT PRIMARY KEY,
    paused INTEGER NOT NULL DEFAULT 0,
    main TEXT,
    baseline_at INTEGER,
    lease_holder TEXT NOT NULL DEFAULT '',
    lease_epoch INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE freeze (
    project TEXT PRIMARY KEY,
    cause TEXT NOT NULL,
    since INTEGER NOT NULL,
    by TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE TABLE board_state (
    project TEXT NOT NULL,
    position INTEGER NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    grp TEXT NOT NULL,
    PRIMARY KEY (project, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE dependency (
    project TEXT NOT NULL,
    issue TEXT NOT NULL,
    on_issue TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project, issue, on_issue)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependency_on ON dependency (project, on_issue, issue);

CREATE TABLE intent (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    project TEXT NOT NULL,
    state TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    task INTEGER REFERENCES task (row),
    at INTEGER NOT NULL,
    candidate TEXT
) STRICT;
CREATE INDEX intent_open ON intent (project, id) WHERE state = 'open';

-- ---------------------------------------------------------------------------------------------------------------- local board and forge

CREATE TABLE local_issue (
    id TEXT PRIMARY KEY COLLATE NOCASE,
    project TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    state_id TEXT NOT NULL,
    archived INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    slug TEXT NOT NULL,
    url TEXT NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX local_issue_sequence ON local_issue (project, sequence);

CREATE TABLE local_activity (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    issue TEXT NOT NULL COLLATE NOCASE REFERENCES local_issue (id),
    actor TEXT NOT NULL,
    actor_name TEXT NOT NULL,
    ours INTEGER NOT NULL,
    source TEXT,
    target TEXT,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX local_activity_of_issue ON local_activity (issue, seq);

CREATE TABLE local_comment (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    issue TEXT NOT NULL COLLATE NOCASE REFERENCES local_issue (id),
    key TEXT NOT NULL,
    author TEXT NOT NULL,
    author_name TEXT NOT NULL,
    ours INTEGER NOT NULL,
    role TEXT,
    created_at INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
CREATE INDEX local_comment_of_issue ON local_comment (issue, seq);
CREATE UNIQUE INDEX local_comment_once ON local_comment (issue, key) WHERE key <> '';

CREATE TABLE local_pull (
    project TEXT NOT NULL,
    number INTEGER NOT NULL,
    branch TEXT NOT NULL,
    base TEXT NOT NULL,
    state TEXT NOT NULL,
    merged TEXT,
    created_at INTEGER NOT NULL,
    title TEXT NOT NULL,
    url TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (project, number)
) STRICT;
CREATE UNIQUE INDEX local_pull_one_open ON local_pull (project, branch, base) WHERE state = 'open';

CREATE TABLE local_pull_comment (
    seq INTEGER PRIMARY KEY,
    project TEXT NOT NULL,
    number INTEGER NOT NULL,
    marker TEXT NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (project, number, marker),
    FOREIGN KEY (project, number) REFERENCES local_pull (project, number)
) STRICT;

CREATE TABLE commit_status (
    project TEXT NOT NULL,
    sha TEXT NOT NULL,
    context TEXT NOT NULL,
    state TEXT NOT NULL,
    at INTEGER NOT NULL,
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    PRIMARY KEY (project, sha, context)
) STRICT, WITHOUT ROWID;

-- ---------------------------------------------------------------------------------------------------------------- the dependency rule

-- A dependency is open until its issue is terminal: the newest task of the issue counts; an issue that never had one is terminal when
-- the local board shows it in a completed or cancelled column.
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
    1
);
