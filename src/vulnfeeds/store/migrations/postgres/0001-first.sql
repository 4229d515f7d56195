-- The first schema. Times are microseconds since 1970 UTC; flags are 0 or 1. Text sorts by code points, as Python does.

CREATE TABLE feed_groups (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    driver TEXT COLLATE "C" NOT NULL,
    generation BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    floor BIGINT NOT NULL,
    kept_generation BIGINT NOT NULL,
    published_at BIGINT NOT NULL,
    records BIGINT NOT NULL,
    withdrawn BIGINT NOT NULL,
    frozen_at BIGINT,
    UNIQUE (feed, name)
);

-- Every version of every record. No foreign key: one look-up per record of a first load would be paid for nothing.
CREATE TABLE record_versions (
    group_id BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    ended BIGINT,
    withdrawn BIGINT NOT NULL,
    takes_severity BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    body BYTEA NOT NULL
);

-- Bodies are compressed already.
ALTER TABLE record_versions ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE UNIQUE INDEX record_versions_by_sequence ON record_versions (group_id, sequence);

CREATE INDEX record_versions_by_key ON record_versions (group_id, key, sequence);

CREATE INDEX record_versions_ended ON record_versions (group_id, ended) WHERE ended IS NOT NULL;

-- What comparing needs, without bodies.
CREATE TABLE current_records (
    group_id BIGINT NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    digest BYTEA NOT NULL,
    sequence BIGINT NOT NULL,
    withdrawn BIGINT NOT NULL,
    takes_severity BIGINT NOT NULL,
    PRIMARY KEY (group_id, key)
);

CREATE TABLE publishes (
    group_id BIGINT NOT NULL REFERENCES feed_groups (id),
    generation BIGINT NOT NULL,
    first_sequence BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (group_id, generation)
);

CREATE INDEX publishes_by_time ON publishes (group_id, published_at, sequence);

CREATE INDEX publishes_by_sequence ON publishes (group_id, sequence, published_at);

-- A page is part of the generations from began up to, not including, ended.
CREATE TABLE pages (
    group_id BIGINT NOT NULL REFERENCES feed_groups (id),
    began BIGINT NOT NULL,
    first_key TEXT COLLATE "C" NOT NULL,
    ended BIGINT,
    name TEXT COLLATE "C" NOT NULL,
    records BIGINT NOT NULL,
    withdrawn BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    PRIMARY KEY (group_id, began, first_key)
);

CREATE INDEX pages_live ON pages (group_id, first_key) WHERE ended IS NULL;

-- newest NULL: NVD had a score for it and has none now.
CREATE TABLE scores (
    cve TEXT COLLATE "C" PRIMARY KEY,
    newest TEXT COLLATE "C",
    cvss2_score DOUBLE PRECISION,
    cvss2_vector TEXT COLLATE "C",
    changed BIGINT NOT NULL
);

CREATE INDEX scores_by_change ON scores (changed);

CREATE TABLE checkpoints (
    driver TEXT COLLATE "C" PRIMARY KEY,
    checkpoint BYTEA NOT NULL,
    kept_at BIGINT NOT NULL
);

CREATE TABLE dictionaries (
    id BIGINT PRIMARY KEY,
    driver TEXT COLLATE "C" NOT NULL UNIQUE,
    dictionary BYTEA NOT NULL
);

CREATE TABLE tasks (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_type TEXT COLLATE "C" NOT NULL,
    status TEXT COLLATE "C" NOT NULL,
    feed_id TEXT COLLATE "C",
    driver_id TEXT COLLATE "C",
    parent_task_id BIGINT,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    result TEXT COLLATE "C",
    progress TEXT COLLATE "C",
    owner TEXT COLLATE "C" NOT NULL,
    beat_at BIGINT NOT NULL
);

-- One run of a driver at a time, whoever asks.
CREATE UNIQUE INDEX tasks_running ON tasks (driver_id) WHERE status = 'running';

CREATE INDEX tasks_by_parent ON tasks (parent_task_id);

CREATE INDEX tasks_by_driver ON tasks (driver_id, id);

CREATE TABLE quarantine (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind TEXT COLLATE "C" NOT NULL,
    driver TEXT COLLATE "C" NOT NULL,
    task_id BIGINT NOT NULL,
    reason TEXT COLLATE "C" NOT NULL,
    created_at BIGINT NOT NULL,
    feed TEXT COLLATE "C",
    group_name TEXT COLLATE "C",
    key TEXT COLLATE "C",
    body BYTEA
);

CREATE INDEX quarantine_by_driver ON quarantine (driver, feed, group_name, key);

CREATE TABLE store_state (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    revision BIGINT NOT NULL
);

INSERT INTO store_state (id, revision) VALUES (1, 0);
