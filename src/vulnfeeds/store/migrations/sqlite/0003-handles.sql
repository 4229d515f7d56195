-- The words under which records are found, and up to which number of each group they are there. Groups come first, so
-- that a group's words are written close together and can be made anew by themselves.

CREATE TABLE record_handles (
    group_id INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    word TEXT NOT NULL,
    key TEXT NOT NULL,
    PRIMARY KEY (group_id, kind, word, key)
) WITHOUT ROWID;

-- A group without a row has none of its records in the index yet.
CREATE TABLE indexed_groups (
    group_id INTEGER PRIMARY KEY REFERENCES feed_groups (id),
    position INTEGER NOT NULL,
    rules INTEGER NOT NULL
);
