-- The tasks listing: every filter of one or two terms finds its rows newest first without looking at others.

CREATE INDEX tasks_by_status ON tasks (status, id);

CREATE INDEX tasks_by_type ON tasks (task_type, id);

CREATE INDEX tasks_by_feed ON tasks (feed_id, id);

CREATE INDEX tasks_by_driver_status ON tasks (driver_id, status, id);

CREATE INDEX tasks_by_type_status ON tasks (task_type, status, id);

CREATE INDEX tasks_by_feed_status ON tasks (feed_id, status, id);
