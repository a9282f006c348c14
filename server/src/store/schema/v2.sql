-- Row ids that other rows, files, or work in progress refer to are never used again: AUTOINCREMENT. A table gets it only
-- by being made anew.

CREATE TABLE new_identities (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL, revoked_at INTEGER
) STRICT;
INSERT INTO new_identities (id, name, created_at, revoked_at)
    SELECT id, name, created_at, revoked_at FROM identities;
DROP TABLE identities;
ALTER TABLE new_identities RENAME TO identities;

CREATE TABLE new_spaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, owner INTEGER REFERENCES identities,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO new_spaces (id, name, owner, created_at) SELECT id, name, owner, created_at FROM spaces;
DROP TABLE spaces;
ALTER TABLE new_spaces RENAME TO spaces;
CREATE INDEX spaces_by_owner ON spaces (owner);

CREATE TABLE new_blobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL
) STRICT;
INSERT INTO new_blobs (id, digest, size) SELECT id, digest, size FROM blobs;
DROP TABLE blobs;
ALTER TABLE new_blobs RENAME TO blobs;

CREATE TABLE new_objects (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
    suspect INTEGER NOT NULL DEFAULT 0,
    -- When the server last had all bytes of the content before it and they were good.
    verified_at INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO new_objects (id, digest, size, suspect) SELECT id, digest, size, suspect FROM objects;
DROP TABLE objects;
ALTER TABLE new_objects RENAME TO objects;

-- Blobs whose last reference has gone and whose files a running server removes. A blob that comes back to life and dies
-- again gets another id, so the collector can tell the two deaths apart.
CREATE TABLE new_garbage (id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE) STRICT;
INSERT INTO new_garbage (digest) SELECT digest FROM garbage;
DROP TABLE garbage;
ALTER TABLE new_garbage RENAME TO garbage;

-- Trees of files. The parent of what lies in a space's root is -space; the parent 0 has the roots of trees that no path
-- leads to: trees to be reclaimed, and copies in the making. key is the name in NFC. A file has an object and its size,
-- a symbolic link has a target, a directory has neither.
--
-- space tells whose readers may claim an entry's content. A tree that moves to another space takes it along in slices,
-- so no path is looked up by it.
CREATE TABLE new_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, space INTEGER NOT NULL REFERENCES spaces, parent INTEGER NOT NULL,
    name TEXT NOT NULL, key TEXT NOT NULL, object INTEGER REFERENCES objects, size INTEGER, target TEXT,
    mtime INTEGER NOT NULL, executable INTEGER NOT NULL, stored_at INTEGER NOT NULL,
    identity INTEGER NOT NULL REFERENCES identities,
    CHECK (object IS NULL OR target IS NULL), CHECK ((object IS NULL) = (size IS NULL))
) STRICT;
INSERT INTO new_entries
    (id, space, parent, name, key, object, size, target, mtime, executable, stored_at, identity)
    SELECT entries.id, space, iif(parent = 0, -space, parent), name, key, object, objects.size, target, mtime,
        executable, stored_at, identity
    FROM entries LEFT JOIN objects ON objects.id = entries.object;
DROP TABLE entries;
ALTER TABLE new_entries RENAME TO entries;
CREATE UNIQUE INDEX entries_by_name ON entries (parent, key);
-- Whether a content has a name at all, and whether it has one in a given space.
CREATE INDEX entries_by_object ON entries (object, space) WHERE object IS NOT NULL;
-- Whether a space has a file of a given size.
CREATE INDEX entries_by_size ON entries (space, size) WHERE size IS NOT NULL;
-- Roots of trees whose entries are to get the space that they lie in now.
CREATE TABLE relabels (id INTEGER PRIMARY KEY AUTOINCREMENT, entry INTEGER NOT NULL) STRICT;

-- What tells the certificates of a person apart: the machine's own name, the certificate that its token brought (all that
-- renewed it have the same), and when and from where it was last used.
ALTER TABLE certificates ADD COLUMN machine TEXT;
ALTER TABLE certificates ADD COLUMN origin BLOB;
ALTER TABLE certificates ADD COLUMN used_at INTEGER;
ALTER TABLE certificates ADD COLUMN address TEXT;

-- What the administrator's commands have done, until the server has written it to its log.
CREATE TABLE audits (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL
) STRICT;

-- The log's failures, which are few among many.
CREATE INDEX transfers_failed ON transfers (identity, id) WHERE error IS NOT NULL;

-- Whether anybody is invited, which strangers make the server ask.
CREATE INDEX invites_open ON invites (expires_at) WHERE used_at IS NULL;
