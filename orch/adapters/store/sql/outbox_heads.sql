-- For each (project, task, target) its first pending row: SQLite takes the bare due_at from the row that min() chose.
SELECT min(id) AS id, due_at FROM outbox INDEXED BY outbox_heads WHERE state = 'pending' GROUP BY project, task, target
