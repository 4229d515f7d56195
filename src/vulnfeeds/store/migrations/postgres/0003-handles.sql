-- The words under which records are found, and up to which number of each group they are there. Groups come first, so
-- that a group's words are written close together and can be made anew by themselves.

CREATE TABLE record_handles (
    group_id BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    word TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (group_id, kind, word, key)
);

-- A group without a row has none of its records in the index yet.
CREATE TABLE indexed_groups (
    group_id BIGINT PRIMARY KEY REFERENCES feed_groups (id),
    position BIGINT NOT NULL,
    rules BIGINT NOT NULL
);
