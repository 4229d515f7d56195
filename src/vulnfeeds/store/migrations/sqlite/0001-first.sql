-- The first schema. Times are microseconds since 1970 UTC; flags are 0 or 1.

CREATE TABLE feed_groups (
    id INTEGER PRIMARY KEY,
    feed TEXT NOT NULL,
    name TEXT NOT NULL,
    driver TEXT NOT NULL,
    generation INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    floor INTEGER NOT NULL,
    kept_generation INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    records INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL,
    frozen_at INTEGER,
    UNIQUE (feed, name)
);

-- Every version of every record. No foreign key: one look-up per record of a first load would be paid for nothing.
-- The body comes last, so that reading or ending a version never walks its overflow pages.
CREATE TABLE record_versions (
    group_id INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    ended INTEGER,
    withdrawn INTEGER NOT NULL,
    takes_severity INTEGER NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    body BLOB NOT NULL
);

CREATE UNIQUE INDEX record_versions_by_sequence ON record_versions (group_id, sequence);

CREATE INDEX record_versions_by_key ON record_versions (group_id, key, sequence);

CREATE INDEX record_versions_ended ON record_versions (group_id, ended) WHERE ended IS NOT NULL;

-- What comparing needs, without bodies.
CREATE TABLE current_records (
    group_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    digest BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL,
    takes_severity INTEGER NOT NULL,
    PRIMARY KEY (group_id, key)
) WITHOUT ROWID;

CREATE TABLE publishes (
    group_id INTEGER NOT NULL REFERENCES feed_groups (id),
    generation INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    PRIMARY KEY (group_id, generation)
) WITHOUT ROWID;

CREATE INDEX publishes_by_time ON publishes (group_id, published_at, sequence);

CREATE INDEX publishes_by_sequence ON publishes (group_id, sequence, published_at);

-- A page is part of the generations from began up to, not including, ended.
CREATE TABLE pages (
    group_id INTEGER NOT NULL REFERENCES feed_groups (id),
    began INTEGER NOT NULL,
    first_key TEXT NOT NULL,
    ended INTEGER,
    name TEXT NOT NULL,
    records INTEGER NOT NULL,
    withdrawn INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (group_id, began, first_key)
) WITHOUT ROWID;

CREATE INDEX pages_live ON pages (group_id, first_key) WHERE ended IS NULL;

-- newest NULL: NVD had a score for it and has none now.
CREATE TABLE scores (
    cve TEXT PRIMARY KEY,
    newest TEXT,
    cvss2_score REAL,
    cvss2_vector TEXT,
    changed INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX scores_by_change ON scores (changed);

CREATE TABLE checkpoints (
    driver TEXT PRIMARY KEY,
    checkpoint BLOB NOT NULL,
    kept_at INTEGER NOT NULL
);

CREATE TABLE dictionaries (
    id INTEGER PRIMARY KEY,
    driver TEXT NOT NULL UNIQUE,
    dictionary BLOB NOT NULL
);

CREATE TABLE tasks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_type TEXT NOT NULL,
    status TEXT NOT NULL,
    feed_id TEXT,
    driver_id TEXT,
    parent_task_id INTEGER,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    result TEXT,
    progress TEXT,
    owner TEXT NOT NULL,
    beat_at INTEGER NOT NULL
);

-- One run of a driver at a time, whoever asks.
CREATE UNIQUE INDEX tasks_running ON tasks (driver_id) WHERE status = 'running';

CREATE INDEX tasks_by_parent ON tasks (parent_task_id);

CREATE INDEX tasks_by_driver ON tasks (driver_id, id);

CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    driver TEXT NOT NULL,
    task_id INTEGER NOT NULL,
    reason TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    feed TEXT,
    group_name TEXT,
    key TEXT,
    body BLOB
);

CREATE INDEX quarantine_by_driver ON quarantine (driver, feed, group_name, key);

CREATE TABLE store_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL
);

INSERT INTO store_state (id, revision) VALUES (1, 0);
