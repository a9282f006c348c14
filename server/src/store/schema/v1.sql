-- Times are nanoseconds since 1970-01-01 UTC, sizes bytes, digests 32 bytes.

-- Who. A revoked identity keeps its row: the log and its space refer to it.
CREATE TABLE identities (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL, revoked_at INTEGER
) STRICT;
-- Every certificate that was ever issued, by the SHA-256 of its DER form.
CREATE TABLE certificates (
    fingerprint BLOB PRIMARY KEY, identity INTEGER NOT NULL REFERENCES identities,
    issued_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_by_identity ON certificates (identity);
CREATE INDEX certificates_by_revocation ON certificates (revoked_at) WHERE revoked_at IS NOT NULL;
-- Join tokens, by the SHA-256 of their secret.
CREATE TABLE invites (
    secret BLOB PRIMARY KEY, name TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE spaces (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, owner INTEGER REFERENCES identities,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX spaces_by_owner ON spaces (owner);
-- Rights of an identity, or of everyone (identity 0), as bits: 1 read, 2 create, 4 replace, 8 delete.
CREATE TABLE grants (
    space INTEGER NOT NULL REFERENCES spaces, identity INTEGER NOT NULL, rights INTEGER NOT NULL,
    PRIMARY KEY (space, identity)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_identity ON grants (identity);

-- Immutable files below blobs/: each a large content, or a pack of small ones.
CREATE TABLE blobs (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL) STRICT;
-- Contents. One that is small has a row in contents or an extent in a pack, another has extents. A suspect one did not verify when it was
-- last read: it can be stored again, but not claimed.
CREATE TABLE objects (
    id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, suspect INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX objects_by_size ON objects (size);
CREATE TABLE contents (object INTEGER PRIMARY KEY REFERENCES objects, data BLOB NOT NULL) STRICT;
CREATE TABLE extents (
    object INTEGER NOT NULL REFERENCES objects, position INTEGER NOT NULL,
    blob INTEGER NOT NULL REFERENCES blobs, offset INTEGER NOT NULL, length INTEGER NOT NULL,
    PRIMARY KEY (object, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX extents_by_blob ON extents (blob);
-- Blobs that some of their contents have left since the collector last looked.
CREATE TABLE thinned (blob INTEGER PRIMARY KEY REFERENCES blobs) STRICT;
-- Blobs whose last reference has gone and whose files a running server removes.
CREATE TABLE garbage (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Trees of files. parent 0 is the root of the space; key is the name in NFC. A file has an object, a symbolic link has
-- a target, a directory has neither.
CREATE TABLE entries (
    id INTEGER PRIMARY KEY, space INTEGER NOT NULL REFERENCES spaces, parent INTEGER NOT NULL,
    name TEXT NOT NULL, key TEXT NOT NULL, object INTEGER REFERENCES objects, target TEXT,
    mtime INTEGER NOT NULL, executable INTEGER NOT NULL, stored_at INTEGER NOT NULL,
    identity INTEGER NOT NULL REFERENCES identities, CHECK (object IS NULL OR target IS NULL)
) STRICT;
CREATE UNIQUE INDEX entries_by_name ON entries (space, parent, key);
CREATE INDEX entries_by_object ON entries (object) WHERE object IS NOT NULL;

-- Beginnings of uploads, by the numbers that are their files' names in incoming/: of those that broke off, and of large
-- ones under way. path is that of the keys in the space. An upload continues a part of its own path, size and mtime.
CREATE TABLE parts (
    file INTEGER PRIMARY KEY, identity INTEGER NOT NULL REFERENCES identities,
    space INTEGER NOT NULL REFERENCES spaces, path TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL
) STRICT;
CREATE INDEX parts_by_path ON parts (identity, space, path);

-- The log. error is NULL for what went well. path is /space/...
CREATE TABLE transfers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, started_at INTEGER NOT NULL, duration_us INTEGER NOT NULL,
    identity INTEGER NOT NULL REFERENCES identities, address TEXT NOT NULL, direction TEXT NOT NULL,
    path TEXT NOT NULL, bytes INTEGER NOT NULL, wire_bytes INTEGER NOT NULL, digest BLOB, error TEXT
) STRICT;
CREATE INDEX transfers_by_identity ON transfers (identity);

-- What the server tells the administrator's commands, such as the address that it listens on.
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
