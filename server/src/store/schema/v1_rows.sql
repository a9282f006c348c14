-- What a server of version 1 has stored for the tests of the upgrade.
INSERT INTO identities (id, name, created_at, revoked_at) VALUES (1, 'alice', 1, NULL), (2, 'bob', 2, 3);
INSERT INTO certificates VALUES (x'03d66dd08835c1ca3f128cceacd1f31ac94163096b20f445ae84285bc0832d72', 1, 1, 100, NULL);
INSERT INTO invites VALUES (x'2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b', 'carol', 1, 100, NULL);
INSERT INTO spaces (id, name, owner, created_at) VALUES (1, 'alice', 1, 1), (2, 'bob', 2, 2), (3, 'shared', NULL, 3);
INSERT INTO grants VALUES (2, 1, 1);
INSERT INTO blobs (id, digest, size) VALUES (5, x'71c60cba2a374fd359c00c9fed08c7fbe84ee51911283c899f3792a5e39875a1', 10), (9, x'd35c416a85b807e9b5384915d6ebb4a9f7352713efd89857b45a242f473728a9', 5);
INSERT INTO objects (id, digest, size, suspect)
    VALUES (3, x'2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824', 5, 0), (4, x'88cb8a087b6e8cebfc9ae5602f5a2159a6bcf923e7f2c56809bcda6cad1727a7', 6, 0), (8, x'd35c416a85b807e9b5384915d6ebb4a9f7352713efd89857b45a242f473728a9', 5, 1);
INSERT INTO contents VALUES (3, x'68656c6c6f');
INSERT INTO extents VALUES (4, 0, 5, 4, 6), (8, 0, 9, 0, 5);
INSERT INTO thinned VALUES (5);
INSERT INTO garbage VALUES (x'283bb9deef02e6843abfb538efa1eca70801bd8a701c3f98191e123496339247');
INSERT INTO entries (id, space, parent, name, key, object, target, mtime, executable, stored_at, identity) VALUES
    (1, 1, 0, 'hello.txt', 'hello.txt', 3, NULL, 7, 0, 7, 1),
    (2, 1, 0, 'deep', 'deep', NULL, NULL, 7, 0, 7, 1),
    (4, 1, 2, 'packed', 'packed', 4, NULL, 7, 1, 7, 1),
    (5, 1, 2, 'link', 'link', NULL, '../hello.txt', 7, 0, 7, 1),
    (6, 2, 0, 'deep', 'deep', NULL, NULL, 8, 0, 8, 2),
    (7, 2, 6, 'er', 'er', NULL, NULL, 8, 0, 8, 2),
    (9, 2, 7, 'hello.txt', 'hello.txt', 3, NULL, 8, 0, 8, 2),
    (12, 3, 0, 'large', 'large', 8, NULL, 8, 0, 8, 2);
INSERT INTO parts VALUES (17, 1, 1, 'deep/part', 5000000, 7);
INSERT INTO transfers (started_at, duration_us, identity, address, direction, path, bytes, wire_bytes, digest, error)
    VALUES (7, 1, 1, '127.0.0.1:1', 'put', '/alice/hello.txt', 5, 90, x'2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824', NULL);
INSERT INTO facts VALUES ('listening', '127.0.0.1:8888');
