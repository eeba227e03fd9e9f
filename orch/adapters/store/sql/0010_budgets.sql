-- oldest: 1
-- Money: a task's own limit where a person raised or lifted it, a day's, and the sums that both are asked for before every claim.

ALTER TABLE task ADD COLUMN budget_usd REAL;
ALTER TABLE task ADD COLUMN budget_lifted INTEGER NOT NULL DEFAULT 0;

-- A UTC day ('2026-11-24') whose limit is not the one of the settings.
CREATE TABLE day_budget (
    day TEXT PRIMARY KEY,
    limit_usd REAL,
    lifted INTEGER NOT NULL,
    at INTEGER NOT NULL,
    by TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX run_spending ON run (started_at, cost_usd) WHERE kind = 'agent';
