//! `sealiftd check`, `gc` and `backup`, beside a running server and without one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sealift_protocol::message::Reply;
use sealift_server::data::DataDirectory;
use sealift_server::store::blobs::keep_files;
use sealift_tests::{Client, Ended, Launcher, Machine, Pattern, RealServer, Store, eventually};
use sealift_types::Digest;

use crate::SEALIFTD;

trait Outcome {
    fn ok(self) -> String;
}

impl Outcome for Ended {
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self.stdout
    }
}

/// A server with a large, a packed and an inline content, each at a path in a directory.
async fn filled(launcher: &Launcher) -> (RealServer, Machine, BTreeMap<String, Vec<u8>>) {
    let server = launcher.start().await;
    let alice = server.enrol("alice").await;
    let mut client = alice.connect().await;
    let mut files = BTreeMap::from([
        ("docs/large".to_owned(), Pattern::new(1, 1_500_000).whole()),
        ("docs/tiny".to_owned(), b"tiny".to_vec()),
    ]);
    for (path, content) in &files {
        client.put_stream(path, content).await.unwrap();
    }
    // Enough at once to become a pack, unless the collector is just at work.
    for round in 0.. {
        let content = |number: u64| Pattern::new(100 * round + number, 20_000).whole();
        let small: Vec<_> = (0..40).map(|number| (format!("docs/s{number}"), content(number))).collect();
        let catalog = server.catalog();
        catalog.execute_batch("BEGIN IMMEDIATE").unwrap();
        small.iter().for_each(|(path, content)| client.push_inline(path, content));
        client.flush().await;
        catalog.execute_batch("ROLLBACK").unwrap();
        for _ in &small {
            assert!(matches!(client.reply().await, Reply::Stored(_)));
        }
        files.extend(small);
        server.store().settled().await;
        if server.store().blobs().len() > 1 {
            break;
        }
        assert!(round < 20, "there is never a pack");
    }
    (server, alice, files)
}

async fn all_arrive(client: &mut Client, files: &BTreeMap<String, Vec<u8>>) {
    for (path, content) in files {
        assert!(client.get(path).await.unwrap() == *content, "{path}");
    }
}

/// The files below `blobs/` of a directory that is no server's yet.
fn blobs_below(data: &Path) -> Vec<std::path::PathBuf> {
    let entries = |path: std::path::PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries(data.join("blobs")).flat_map(entries).collect()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn pack(store: &Store, files: &BTreeMap<String, Vec<u8>>) -> Digest {
    let large = Digest::of(&files["docs/large"]);
    store.blobs().into_keys().find(|digest| *digest != large).expect("a pack")
}

#[tokio::test]
async fn what_is_whole_is_said_to_be_and_every_damaged_path_is_named() {
    let launcher = Launcher::new(SEALIFTD);
    let (server, alice, files) = filled(&launcher).await;
    let said = launcher.run("check", &[]).await.ok();
    assert!(
        said.starts_with("42 files; 42 of 42 contents") && said.trim_end().ends_with("are whole"),
        "{said}"
    );
    launcher.run("check", &["--quick"]).await.ok();
    let mut client = alice.connect().await;
    client.cp("docs/large", "copy of it").await.unwrap();

    let store = server.store();
    let large = Digest::of(&files["docs/large"]);
    flip(&store.blob(&large), 1_000_000);
    let packed = store.blob(&pack(&store, &files));
    flip(&packed, 100);
    server.administer(|catalog| {
        catalog.execute("UPDATE contents SET data = x'00616263' WHERE length(data) = 4", []).unwrap();
    });
    let quick = launcher.run("check", &["--quick"]).await;
    assert_eq!(quick.code, Some(0), "from outside nothing is to be seen: {quick:?}");
    let found = launcher.run("check", &[]).await;
    assert_eq!(found.code, Some(5), "{found:?}");
    for path in ["/alice/docs/large: ", "/alice/copy of it: ", "/alice/docs/tiny: "] {
        assert!(found.stdout.contains(&format!("damaged: {path}")), "{path}: {found:?}");
    }
    assert_eq!(
        found.stdout.matches("/alice/docs/s").count(),
        1,
        "one of the pack, not its neighbours: {found:?}"
    );
    assert!(found.stdout.contains("39 of 42 contents"), "{found:?}");
    assert!(found.stderr.contains("3 contents are damaged: store the files again"), "{found:?}");
    // As it says: storing it again under any name mends it everywhere.
    client.put_stream("again", &files["docs/large"]).await.unwrap();
    assert!(client.get("copy of it").await.unwrap() == files["docs/large"]);
    client.put_inline("docs/tiny", b"tiny").await.unwrap();
    let lost = found.stdout.lines().find_map(|line| line.strip_prefix("damaged: /alice/docs/s")).unwrap();
    let lost = format!("docs/s{}", lost.split(':').next().unwrap());
    client.put_inline(&lost, &files[&lost]).await.unwrap();
    all_arrive(&mut client, &files).await;
    let healed = launcher.run("check", &[]).await;
    assert!(healed.code == Some(0), "{healed:?}");
}

#[tokio::test]
async fn files_that_are_gone_or_cut_short_are_found_without_reading() {
    let launcher = Launcher::new(SEALIFTD);
    let (server, _, files) = filled(&launcher).await;
    let store = server.store();
    let large = store.blob(&Digest::of(&files["docs/large"]));
    fs::File::options().write(true).open(&large).unwrap().set_len(1_499_999).unwrap();
    let cut = launcher.run("check", &["--quick"]).await;
    assert!(cut.code == Some(5) && cut.stdout.contains("/alice/docs/large: "), "{cut:?}");
    fs::remove_file(&large).unwrap();
    let pack = pack(&store, &files);
    let sql = "SELECT count(*) FROM extents JOIN blobs ON blobs.id = blob WHERE digest = ?1";
    let packed: usize = server
        .catalog()
        .query_row(sql, [pack.as_bytes()], |row| row.get::<_, i64>(0))
        .map(|count| usize::try_from(count).unwrap())
        .unwrap();
    assert!(packed > 1);
    fs::remove_file(store.blob(&pack)).unwrap();
    let gone = launcher.run("check", &["--quick"]).await;
    assert_eq!(gone.code, Some(5), "{gone:?}");
    assert!(gone.stdout.contains(&format!("/alice/docs/large: {} is missing", large.display())), "{gone:?}");
    assert_eq!(gone.stdout.matches("damaged: /alice/docs/s").count(), packed, "{gone:?}");
    assert!(!gone.stdout.contains("docs/tiny"), "{gone:?}");
}

#[tokio::test]
async fn a_damaged_catalog_is_found() {
    let launcher = Launcher::new(SEALIFTD);
    let (mut server, ..) = filled(&launcher).await;
    server.terminate();
    server.exit_code().await;
    // The index says what the table does not.
    let catalog = rusqlite::Connection::open(launcher.data().join("catalog.db")).unwrap();
    let page: u64 = catalog
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'entries_by_name'", [], |row| {
            row.get::<_, i64>(0).map(i64::cast_unsigned)
        })
        .unwrap();
    let size: u64 =
        catalog.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0)).unwrap().cast_unsigned();
    catalog.close().unwrap();
    let start = usize::try_from((page - 1) * size + size - 200).unwrap();
    let path = launcher.data().join("catalog.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[start..start + 190].fill(0x55);
    fs::write(&path, bytes).unwrap();
    let found = launcher.run("check", &[]).await;
    assert_eq!(found.code, Some(5), "{found:?}");
    assert!(found.stdout.contains("the catalog is damaged: "), "{found:?}");
    assert!(found.stderr.contains("restore it from a backup"), "{found:?}");
}

#[tokio::test]
async fn what_belongs_to_nothing_is_collected_beside_a_server_and_without_one() {
    let launcher = Launcher::new(SEALIFTD);
    let (mut server, alice, files) = filled(&launcher).await;
    assert_eq!(launcher.run("gc", &[]).await.ok(), "there is nothing to collect\n");
    for running in [true, false] {
        let orphan = vec![u8::from(running); 30_000];
        let path = server.store().blob(&Digest::of(&orphan));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &orphan).unwrap();
        let said = launcher.run("check", &[]).await.ok();
        assert!(
            said.contains("1 files below blobs/ (29 KiB) belong to nothing: `sealiftd gc` removes"),
            "{said}"
        );
        if !running {
            server.terminate();
            server.exit_code().await;
        }
        assert_eq!(launcher.run("gc", &[]).await.ok(), "removed 1 files (29 KiB)\n", "running: {running}");
        assert!(!path.exists());
    }
    let server = launcher.start().await;
    all_arrive(&mut alice.at(server.address).connect().await, &files).await;
    // Whoever copies the files keeps all of them.
    let kept = keep_files(&launcher.data()).unwrap();
    let path = server.store().blob(&Digest::of(&files["docs/large"]));
    alice.at(server.address).connect().await.remove("docs/large").await.unwrap();
    let refused = launcher.run("gc", &[]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("a backup is being taken"), "{refused:?}");
    assert!(path.exists());
    drop(kept);
    eventually("the end of the file", || (!path.exists()).then_some(())).await;
}

#[tokio::test]
async fn a_backup_is_a_server_with_everything_and_only_what_is_new_is_added() {
    let launcher = Launcher::new(SEALIFTD);
    let (server, alice, files) = filled(&launcher).await;
    let copy = launcher.folder().join("copies/sealift");
    let destination = copy.display().to_string();
    let said = launcher.run("backup", &[&destination]).await.ok();
    let count = server.store().blobs().len();
    assert!(count > 1);
    assert!(
        said.contains(&format!(": {count} files copied (")) && said.ends_with("), 0 were there, 0 removed\n"),
        "{said}"
    );
    let mode = |name: &str| copy.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("pki"), mode("pki/ca.key")), (0o700, 0o700, 0o600));
    let mut names: Vec<_> = fs::read_dir(&copy).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["BACKUP", "blobs", "catalog.db", "incoming", "lock", "pki"], "nothing is left over");

    // What is gone on the server goes, what is new comes, and what was cut short is made whole.
    let mut client = alice.connect().await;
    client.remove("docs/large").await.unwrap();
    let new = Pattern::new(77, 900_000).whole();
    client.put_stream("new", &new).await.unwrap();
    server.store().settled().await;
    let packed =
        blobs_below(&copy).into_iter().find(|path| path.metadata().unwrap().len() < 1_000_000).unwrap();
    fs::remove_file(&packed).unwrap();
    fs::write(&packed, "x").unwrap();
    let said = launcher.run("backup", &[&destination]).await.ok();
    let rest = count - 2;
    assert!(
        said.contains(": 2 files copied (")
            && said
                .contains(&format!("), {rest} were there, 1 removed; 1 damaged in the backup and replaced")),
        "{said}"
    );
    let said = launcher.run("backup", &[&destination]).await.ok();
    assert!(said.contains(&format!(": 0 files copied (0 bytes), {count} were there, 0 removed\n")), "{said}");
    server.kill();

    let restored = launcher.clone().on(&copy);
    let said = restored.run("check", &[]).await.ok();
    assert!(said.starts_with("42 files; 42 of 42 contents") && !said.contains("nothing"), "{said}");
    let server = restored.start().await;
    // The same authority and identities: alice's certificate is good.
    let mut client = alice.at(server.address).connect().await;
    let mut rest = files;
    rest.remove("docs/large");
    rest.insert("new".into(), new);
    all_arrive(&mut client, &rest).await;
    client.put_stream("later", &[5; 100_000]).await.unwrap();
    server.store().settled().await;
    // Now it goes its own way, and must not be overwritten by what it was a copy of.
    let refused = launcher.run("backup", &[&destination]).await;
    assert!(
        refused.code == Some(2) && refused.stderr.contains("is a data directory of its own"),
        "{refused:?}"
    );
    client.get("later").await.unwrap();
}

#[tokio::test]
async fn backups_go_nowhere_else() {
    let launcher = Launcher::new(SEALIFTD);
    let (_server, ..) = filled(&launcher).await;
    let text = |path: &Path| path.display().to_string();
    let inside = launcher.data().join("blobs/copy");
    let strange = launcher.folder().join("strange");
    fs::create_dir(&strange).unwrap();
    fs::write(strange.join("thesis.txt"), "x").unwrap();
    let other = Launcher::new(SEALIFTD);
    let copy = launcher.folder().join("copy");
    other.run("backup", &[&text(&copy)]).await.ok();
    let before = fs::read(copy.join("catalog.db")).unwrap();
    for (destination, words) in [
        (&inside, "is inside the data directory"),
        (&launcher.data(), "is inside the data directory"),
        (&strange, "is not empty and no Sealift data directory"),
        (&copy, "is a backup of another server"),
        (&other.data(), "is a data directory of its own"),
    ] {
        let refused = launcher.run("backup", &[&text(destination)]).await;
        assert_eq!(refused.code, Some(2), "{destination:?}: {refused:?}");
        assert!(refused.stderr.contains(words) && refused.stdout.is_empty(), "{destination:?}: {refused:?}");
    }
    assert!(!inside.exists() && fs::read(copy.join("catalog.db")).unwrap() == before);
    assert_eq!(fs::read_dir(&strange).unwrap().count(), 1);
}

/// Everything below a directory that a change could show in: bytes, modes, owners, and the times of changes.
fn everything(root: &Path) -> BTreeMap<String, (Vec<u8>, u32, u32, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut next = vec![root.to_owned()];
    while let Some(path) = next.pop() {
        let facts = path.symlink_metadata().unwrap();
        let mut bytes = Vec::new();
        if facts.is_dir() {
            next.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            bytes = fs::read(&path).unwrap();
        }
        let facts = (bytes, facts.mode(), facts.uid(), facts.ctime(), facts.ctime_nsec());
        found.insert(path.display().to_string(), facts);
    }
    found
}

/// As the manual has it: a drill on the backup, after which the backup is still one.
#[tokio::test]
async fn a_drill_reads_the_backup_and_changes_nothing_in_it() {
    let launcher = Launcher::new(SEALIFTD);
    let (server, alice, files) = filled(&launcher).await;
    let token = server.invite("bob");
    // Garbage, and a part of an upload: what a server would collect.
    let mut client = alice.connect().await;
    client.put_stream("gone", &Pattern::new(9, 400_000).whole()).await.unwrap();
    let copy = launcher.folder().join("copy");
    let destination = copy.display().to_string();
    launcher.run("backup", &[&destination]).await.ok();
    fs::create_dir_all(copy.join("blobs/ff")).unwrap();
    let orphan = copy.join(format!("blobs/ff/{}", "f".repeat(64)));
    fs::write(orphan, "belongs to nothing").unwrap();
    let before = everything(&copy);

    for variable in ["flag", "variable"] {
        let drill = launcher.clone().on(&copy);
        let mut drill = match variable {
            "flag" => drill.flag("--read-only").start().await,
            _ => drill.variable("SEALIFTD_READ_ONLY", "true").start().await,
        };
        let mut client = alice.at(drill.address).connect().await;
        all_arrive(&mut client, &files).await;
        let refused = |reply: Result<_, sealift_protocol::WireError>| {
            let error = reply.expect_err("nothing is to be changed");
            assert!(error.message.contains("this server only reads"), "{error:?}");
        };
        refused(client.put_stream("new", &[1; 300_000]).await.map(drop));
        refused(client.put_inline("new", b"small").await.map(drop));
        refused(client.remove("docs/large").await.map(drop));
        refused(client.cp("docs/large", "docs/other").await.map(drop));
        refused(client.mv("docs/large", "docs/other").await.map(drop));
        let mut elsewhere = token.clone();
        elsewhere.addresses = vec![drill.address.to_string()].try_into().unwrap();
        let stranger = sealift_tests::joining::join(&elsewhere).await;
        assert!(stranger.is_err(), "{stranger:?}");
        // Neither a server nor a backup comes in between.
        let second = launcher.run("backup", &[&destination]).await;
        assert!(second.code == Some(2) && second.stderr.contains("another sealiftd uses"), "{second:?}");
        // Nor does a command that would wait for the server to answer, or whose change the server would never see.
        for (verb, arguments) in [
            ("revoke", &["alice"][..]),
            ("invite", &["carol", "--address", "h:1"]),
            ("space", &["add", "team"]),
            ("gc", &[]),
        ] {
            let refused = launcher.clone().on(&copy).run(verb, arguments).await;
            assert!(
                refused.code == Some(2) && refused.stderr.contains("with --read-only"),
                "{verb}: {refused:?}"
            );
        }
        all_arrive(&mut client, &files).await;
        drill.terminate();
        assert_eq!(drill.exit_code().await, Some(0));
    }
    assert!(everything(&copy) == before);
    // The backup goes on.
    launcher.run("backup", &[&destination]).await.ok();
    server.kill();
}

/// Whoever is revoked by the server is so by a drill on its backup, which goes on meanwhile.
#[tokio::test]
async fn a_drill_takes_notice_of_revocations() {
    let launcher = Launcher::new(SEALIFTD);
    let (server, alice, _) = filled(&launcher).await;
    let bob = server.enrol("bob").await;
    let copy = launcher.folder().join("copy");
    launcher.run("backup", &[&copy.display().to_string()]).await.ok();
    let drill = launcher.clone().on(&copy).flag("--read-only").start().await;
    bob.at(drill.address).connect().await;
    launcher.run("revoke", &["bob"]).await.ok();
    let begun = std::time::Instant::now();
    while bob.at(drill.address).try_connect().await.is_ok() {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30), "the drill knows of no revocation");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    alice.at(drill.address).connect().await;
    drill.kill();
    server.kill();
}

/// A backup is one of those that its catalog knows of, and somebody may hold the list of another one for long.
#[tokio::test]
async fn revocations_wait_neither_for_themselves_nor_for_ever() {
    let launcher = Launcher::new(SEALIFTD);
    let (server, _, _) = filled(&launcher).await;
    let (_bob, _carol) = (server.enrol("bob").await, server.enrol("carol").await);
    let copy = launcher.folder().join("copy");
    launcher.run("backup", &[&copy.display().to_string()]).await.ok();
    launcher.clone().on(&copy).run("revoke", &["bob"]).await.ok();
    let list = fs::File::open(copy.join("pki/revocations")).unwrap();
    list.lock().unwrap();
    let revoked = launcher.run("revoke", &["carol"]).await;
    assert!(revoked.code == Some(0) && revoked.stderr.contains("cannot be reached"), "{revoked:?}");
    drop(list);
    assert_eq!(launcher.run("revoke", &["alice"]).await.code, Some(0));
    server.kill();
}

/// A directory that is mounted once more, for reading only, until this is dropped.
struct ReadOnlyMount(std::path::PathBuf);

impl ReadOnlyMount {
    /// `None` where this process may not mount.
    fn of(directory: &Path, place: &Path) -> Option<Self> {
        fs::create_dir(place).unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-o", "bind,ro"]).args([directory, place]);
        let mounted = mount.output().is_ok_and(|done| done.status.success());
        mounted.then(|| Self(place.to_owned()))
    }
}

impl Drop for ReadOnlyMount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).output();
    }
}

/// Only root can run this.
#[tokio::test]
async fn backups_on_read_only_media_are_checked_tried_and_copied() {
    let launcher = Launcher::new(SEALIFTD);
    let (server, alice, files) = filled(&launcher).await;
    let copy = launcher.folder().join("copy");
    launcher.run("backup", &[&copy.display().to_string()]).await.ok();
    server.kill();
    let place = launcher.folder().join("medium");
    let Some(medium) = ReadOnlyMount::of(&copy, &place) else { return };
    let there = launcher.clone().on(&place);
    let said = there.run("check", &[]).await.ok();
    assert!(said.starts_with("42 files; 42 of 42 contents"), "{said}");
    assert!(there.run("identities", &[]).await.ok().contains("alice"));
    assert!(there.run("space", &["list"]).await.ok().contains("/alice"));
    let second = launcher.folder().join("second").display().to_string();
    there.run("backup", &[&second]).await.ok();
    launcher.clone().on(Path::new(&second)).run("check", &[]).await.ok();
    let mut drill = there.clone().flag("--read-only").start().await;
    all_arrive(&mut alice.at(drill.address).connect().await, &files).await;
    drill.terminate();
    drill.exit_code().await;
    // What has to write says what is the matter.
    for (verb, arguments) in [("invite", &["bob", "--address", "h:1"][..]), ("serve", &[]), ("gc", &[])] {
        let refused = there.run(verb, arguments).await;
        assert!(!refused.stderr.contains("restore"), "{verb}: {refused:?}");
        assert!(
            refused.code != Some(0) && refused.stderr.to_lowercase().contains("read-only"),
            "{verb}: {refused:?}"
        );
    }
    drop(medium);
}

/// What an unfinished backup is called, where somebody takes it for a server's directory.
#[tokio::test]
async fn an_unfinished_backup_is_named_as_such() {
    let launcher = Launcher::new(SEALIFTD);
    let copy = launcher.folder().join("copy");
    let destination = copy.display().to_string();
    launcher.run("backup", &[&destination]).await.ok();
    fs::remove_file(copy.join("pki/ca.pem")).unwrap();
    for verb in ["serve", "check", "init"] {
        let refused = launcher.clone().on(&copy).run(verb, &[]).await;
        assert_eq!(refused.code, Some(2), "{verb}: {refused:?}");
        assert!(
            refused.stderr.contains("is an unfinished backup: run `sealiftd backup"),
            "{verb}: {refused:?}"
        );
    }
    launcher.run("backup", &[&destination]).await.ok();
    launcher.clone().on(&copy).run("check", &[]).await.ok();
}

#[tokio::test]
async fn damage_is_repaired_in_the_backup_and_reported_from_the_server() {
    let launcher = Launcher::new(SEALIFTD);
    let (server, _, files) = filled(&launcher).await;
    let copy = launcher.folder().join("copy");
    let destination = copy.display().to_string();
    launcher.run("backup", &[&destination]).await.ok();
    let large = Digest::of(&files["docs/large"]);
    let copied = copy.join("blobs").join(&large.to_string()[..2]).join(large.to_string());
    flip(&copied, 1000);
    let said = launcher.run("backup", &[&destination]).await.ok();
    assert!(said.contains("1 damaged in the backup and replaced"), "{said}");
    launcher.clone().on(&copy).run("check", &[]).await.ok();
    let said = launcher.run("backup", &[&destination, "--verify", "--json"]).await.ok();
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((json["verified"].as_u64(), json["repaired"].as_u64()), (json["kept"].as_u64(), Some(0)));

    let other = launcher.folder().join("other").display().to_string();
    flip(&server.store().blob(&large), 5);
    let damaged = launcher.run("backup", &[&other]).await;
    assert_eq!(damaged.code, Some(5), "{damaged:?}");
    assert!(damaged.stderr.contains("1 files or contents are damaged in"), "{damaged:?}");
    let checked = launcher.clone().on(Path::new(&other)).run("check", &[]).await;
    assert_eq!(checked.code, Some(5), "{checked:?}");
}

#[tokio::test]
async fn what_the_server_lost_is_named_and_the_rest_is_saved() {
    let launcher = Launcher::new(SEALIFTD);
    let (server, _, files) = filled(&launcher).await;
    let copy = launcher.folder().join("copy");
    let destination = copy.display().to_string();
    launcher.run("backup", &[&destination]).await.ok();
    let lost = server.store().blob(&Digest::of(&files["docs/large"]));
    fs::remove_file(&lost).unwrap();
    // The earlier backup still has it.
    launcher.run("backup", &[&destination]).await.ok();
    fs::remove_dir_all(&copy).unwrap();
    let lacking = launcher.run("backup", &[&destination]).await;
    assert_eq!(lacking.code, Some(5), "{lacking:?}");
    assert!(
        lacking.stderr.contains("1 files are missing") && lacking.stderr.contains("sealiftd check"),
        "{lacking:?}"
    );
    let checked = launcher.clone().on(&copy).run("check", &["--quick"]).await;
    assert!(checked.code == Some(5) && checked.stdout.contains("41 of 42 contents"), "{checked:?}");
}

/// Files come, go and are replaced all the time while backups are taken: each is one moment of the server, in which
/// whatever has a name has its bytes, and nothing is missing that had been acknowledged before.
#[tokio::test]
async fn backups_under_load_are_whole_and_have_what_was_acknowledged_before() {
    let launcher = Launcher::new(SEALIFTD);
    let (server, alice, files) = filled(&launcher).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut loads = Vec::new();
    for worker in 0..3u64 {
        let (mut client, done) = (alice.connect().await, done.clone());
        loads.push(tokio::spawn(async move {
            let mut round = 0u64;
            while !done.load(Ordering::SeqCst) {
                let path = format!("churn/{worker}");
                let content = Pattern::new(1000 * (worker + 1) + round, 150_000).whole();
                client.put_stream(&path, &content).await.unwrap();
                if round % 2 == 1 {
                    client.remove(&path).await.unwrap();
                }
                round += 1;
            }
            round
        }));
    }
    let mut known = files;
    let mut client = alice.connect().await;
    let destination = launcher.folder().join("copy").display().to_string();
    for round in 0..6u64 {
        let path = format!("kept{round}");
        let content = Pattern::new(50 + round, 120_000).whole();
        client.put_stream(&path, &content).await.unwrap();
        known.insert(path, content);
        launcher.run("backup", &[&destination]).await.ok();
        let copy = launcher.clone().on(Path::new(&destination));
        let checked = copy.run("check", &[]).await;
        assert_eq!(checked.code, Some(0), "round {round}: {checked:?}");
        // A data directory by all means, whatever the server does meanwhile.
        DataDirectory::open(Path::new(&destination)).unwrap();
    }
    done.store(true, Ordering::SeqCst);
    for load in loads {
        assert!(load.await.unwrap() > 1, "it was under load");
    }
    server.store().settled().await;
    server.kill();
    let server = launcher.clone().on(Path::new(&destination)).start().await;
    all_arrive(&mut alice.at(server.address).connect().await, &known).await;
    server.store().settled().await;
}

/// Only root can run this: whatever root does beside a server of another user, that server can use what is left.
#[tokio::test]
async fn what_root_makes_belongs_to_the_owner_of_the_data() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let launcher = Launcher::new(SEALIFTD);
    let (mut server, ..) = filled(&launcher).await;
    server.terminate();
    server.exit_code().await;
    for name in ["lock", "gc.lock", "catalog.db.turn", "control.sock"] {
        let _ = fs::remove_file(launcher.data().join(name));
    }
    for path in below(&launcher.data()) {
        chown(path, Some(65534), Some(65534)).unwrap();
    }
    let orphan = launcher.data().join(format!("blobs/{}/{}", "ab", "ab".repeat(32)));
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, "belongs to nothing").unwrap();
    for path in [orphan.parent().unwrap(), &orphan] {
        chown(path, Some(65534), Some(65534)).unwrap();
    }
    let copy = launcher.folder().join("copy").display().to_string();
    for (verb, arguments) in [
        ("invite", &["bob", "--address", "h:1"][..]),
        ("identities", &[]),
        ("identities", &["--certificates"]),
        ("space", &["add", "team"]),
        ("space", &["list"]),
        ("grant", &["team", "alice", "read"]),
        ("check", &[]),
        ("backup", &[&copy]),
        ("gc", &[]),
        ("revoke", &["alice"]),
        ("config", &["show"]),
    ] {
        let done = launcher.run(verb, arguments).await;
        assert_eq!(done.code, Some(0), "{verb}: {done:?}");
        for path in below(&launcher.data()) {
            let owner = path.symlink_metadata().unwrap().uid();
            assert_eq!(owner, 65534, "{verb} left {}", path.display());
        }
    }
    assert!(!orphan.exists(), "the collection did its work");
}

/// All that is in a directory, and the directory.
fn below(root: &Path) -> Vec<std::path::PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while next < found.len() {
        if let Ok(entries) = fs::read_dir(&found[next]) {
            found.extend(entries.map(|entry| entry.unwrap().path()));
        }
        next += 1;
    }
    found
}

/// Only root can run this: what root backs up belongs to whom the data belongs, so that their server can use it.
#[tokio::test]
async fn a_backup_by_root_belongs_to_the_owner_of_the_data() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let launcher = Launcher::new(SEALIFTD);
    let (server, ..) = filled(&launcher).await;
    server.kill();
    for path in below(&launcher.data()) {
        chown(path, Some(65534), Some(65534)).unwrap();
    }
    for attempt in ["new", "again"] {
        let copy = launcher.folder().join("copy");
        launcher.run("backup", &[&copy.display().to_string()]).await.ok();
        for path in below(&copy) {
            let owner = path.metadata().unwrap().uid();
            assert_eq!(owner, 65534, "{attempt}: {}", path.display());
        }
    }
}
