-- Say anew which live tasks have entered, and which queued jobs are the first of a task that has not. Run at every start: a program of an
-- older version, which knows neither column, may have written last.
UPDATE task SET entered = 1
WHERE entered = 0 AND stage NOT IN ('done', 'cancelled')
    AND (stage <> 'analysis' OR EXISTS (SELECT 1 FROM run WHERE run.task = task.row AND run.kind = 'agent'));

UPDATE job SET entry = NOT entry
WHERE state = 'queued' AND entry = (SELECT task.entered FROM task WHERE task.row = job.task);
