-- oldest: 1
-- The chat: each task's one live message, the questions whose answer is a reply, up to which update people's presses were handled, and
-- where a chat went that became a supergroup.

CREATE TABLE chat_tracker (
    task INTEGER PRIMARY KEY REFERENCES task (row),
    chat TEXT NOT NULL,
    message INTEGER NOT NULL,
    digest TEXT NOT NULL,
    closed INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX chat_tracker_open ON chat_tracker (task) WHERE closed = 0;

CREATE TABLE chat_reason (
    chat TEXT NOT NULL,
    message INTEGER NOT NULL,
    press TEXT NOT NULL,
    user TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (chat, message)
) STRICT, WITHOUT ROWID;

CREATE TABLE chat_offset (
    bot TEXT PRIMARY KEY,
    next INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE chat_move (
    chat TEXT PRIMARY KEY,
    target TEXT NOT NULL
) STRICT, WITHOUT ROWID;
