use super::*;
use crate::store::facts;
use sealift_types::ErrorCode;

fn insert(name: &'static str) -> impl FnOnce(&Connection) -> Result<()> + Send + 'static {
    move |connection| {
        connection.execute("INSERT INTO facts (key, value) VALUES (?1, '')", [name])?;
        Ok(())
    }
}

async fn names(catalog: &Catalog) -> Vec<String> {
    let read = |connection: &Connection| {
        let mut statement = connection.prepare("SELECT key FROM facts ORDER BY key")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    };
    catalog.read(read).await.unwrap()
}

#[tokio::test]
async fn a_commit_whose_sync_failed_does_not_come_back_once_others_were_told_that_it_is_not_there() {
    for busy in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalog.db");
        let beside = |suffix: &str| dir.path().join(format!("catalog.db{suffix}"));
        let count = |connection: &Connection| -> i64 {
            connection.query_row("SELECT count(*) FROM facts", [], |row| row.get(0)).unwrap()
        };
        let writing = CatalogWriter::open(&path, &|_| Ok(()), schema::PATIENCE).unwrap();
        writing.committing.store(true, Ordering::Relaxed);
        insert("a")(&writing.connection).unwrap();
        let reader = schema::open_reader(&path).unwrap();
        let reading = reader.unchecked_transaction().unwrap();
        assert_eq!(count(&reading), 1);
        // After a failed sync, the pages of the commit are in the log, and the index of the log is as it was.
        let index = std::fs::read(beside("-shm")).unwrap();
        insert("b")(&writing.connection).unwrap();
        let file = std::fs::File::options().write(true).open(beside("-shm")).unwrap();
        std::io::Write::write_all(&mut &file, &index).unwrap();
        let reading = if busy {
            Some(reading)
        } else {
            drop(reading);
            None
        };

        drop(writing);
        let again = CatalogWriter::open_again(&path, &|_| Ok(())).unwrap();
        assert_eq!((again.log_is_empty, count(&again.connection)), (!busy, 1));

        // The next start after kill -9.
        let copy = tempfile::tempdir().unwrap();
        for suffix in ["", "-wal"] {
            std::fs::copy(beside(suffix), copy.path().join(format!("catalog.db{suffix}"))).unwrap();
        }
        let later = schema::open(&copy.path().join("catalog.db")).unwrap();
        assert_eq!(count(&later), 1, "busy: {busy}");
        drop(reading);
    }
}

#[tokio::test]
async fn nobody_reads_a_catalog_of_which_nobody_knows_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("incoming")).unwrap();
    let path = dir.path().join("catalog.db");
    let (catalog, thread) = Catalog::open(&path, Blobs::open(dir.path()).unwrap()).unwrap();
    let broken = |_: &mut Connection| Err(rusqlite::Error::InvalidQuery);
    assert!(reopen(&path, &broken, &catalog.readers).is_err());
    let read = catalog.read(|connection| facts::read(connection, "a")).await;
    assert!(matches!(read, Err(ServerError::Stopped)));
    assert!(reopen(&path, &|_| Ok(()), &catalog.readers).is_ok());
    assert_eq!(names(&catalog).await, [""; 0]);
    drop(catalog);
    thread.join().unwrap();
}

/// What a change holds that touches that many entries.
struct Heavy(usize);

impl ChangeHeld for Heavy {
    fn weight(&self) -> usize {
        self.0
    }
}

fn change(weight: usize) -> Box<dyn QueuedChange> {
    let work = |_: &Connection, _: &Heavy| Ok(());
    let otherwise = |_: &Connection, _: &Heavy, _: &ServerError| Ok(());
    let (answer, held) = (oneshot::channel().0, Heavy(weight));
    Box::new(ChangeJob {
        urgent: true,
        work: Some(work),
        otherwise: Some(otherwise),
        held,
        result: None,
        trouble: None,
        answer,
    })
}

#[tokio::test]
async fn those_who_ask_for_changes_take_turns() {
    let (sender, mut turns) = turns::turns();
    // Told apart by their weights.
    let next = |turns: &mut WriterTurns| turns.next().map(|mut change| change.held().weight());
    let (deep, flat) = (WriterLine::Of(1), WriterLine::Of(2));
    for number in 0..600 {
        sender.post(deep, change(1000 + number));
    }
    for number in 0..3 {
        sender.post(flat, change(1 + number));
    }
    sender.post(WriterLine::Behind, change(5000));
    sender.post(flat, change(4));
    sender.post(WriterLine::Server, change(1));
    // One of the deep ones is a turn of its own; the four others are one turn, too.
    let first: Vec<_> = std::iter::from_fn(|| next(&mut turns)).take(7).collect();
    assert_eq!(first, [1000, 1, 2, 3, 4, 1, 1001]);
    let mut rest = std::iter::from_fn(|| next(&mut turns));
    assert!((1002..1600).eq(rest.by_ref().take(598)), "those of one line keep their order");
    assert_eq!(rest.collect::<Vec<_>>(), [5000], "behind everything that was before it");
    assert!(next(&mut turns).is_none());
    sender.post(deep, change(7));
    sender.post(WriterLine::Behind, change(5000));
    sender.post(deep, change(8));
    assert_eq!(std::iter::from_fn(|| next(&mut turns)).collect::<Vec<_>>(), [7, 5000, 8]);
    drop(sender);
    assert!(turns.recv().await.is_none());
}

#[tokio::test]
async fn a_line_without_room_leaves_the_others_alone() {
    let (sender, mut turns) = turns::turns();
    let mut waits = 0;
    while timeout_at(Instant::now(), sender.send(WriterLine::Of(1), change(1))).await.is_ok() {
        waits += 1;
    }
    assert_eq!(waits, 1024);
    sender.send(WriterLine::Of(2), change(1)).await;
    // There is room again for each that the writer takes.
    for _ in 0..10 {
        assert!(turns.next().is_some());
    }
    sender.send(WriterLine::Of(1), change(1)).await;
}

#[tokio::test]
async fn changes_share_a_transaction_up_to_a_number_and_up_to_a_weight() {
    let (sender, mut changes) = turns::turns();
    for weight in std::iter::repeat_n(1, GROUP + 1).chain([WEIGHT, WEIGHT / 2, WEIGHT, 1]) {
        sender.send(WriterLine::Of(1), change(weight)).await;
    }
    drop(sender);
    let mut sizes = Vec::new();
    let mut group = Vec::new();
    while gather(&mut changes, &mut group).await {
        sizes.push(group.drain(..).count());
    }
    assert_eq!(sizes, [GROUP, 2, 2, 1]);
}

#[tokio::test]
async fn a_change_that_fails_leaves_the_others_of_its_group() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("incoming")).unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let (catalog, thread) = Catalog::open(&dir.path().join("catalog.db"), blobs).unwrap();
    // The first one holds the writer until the others are queued behind it, as one group.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let first = catalog
        .submit(move |_| {
            let _ = held.recv();
            Ok(())
        })
        .await;
    let good = catalog.submit(insert("a")).await;
    let bad = catalog
        .submit(|connection| {
            insert("lost")(connection)?;
            Err::<(), _>(ServerError::refused(ErrorCode::NotFound, "no"))
        })
        .await;
    let broken = catalog.submit(insert("a")).await;
    let last = catalog.submit(insert("b")).await;
    release.send(()).unwrap();
    first.wait().await.unwrap();
    good.wait().await.unwrap();
    assert!(matches!(bad.wait().await, Err(ServerError::Refused(_))));
    assert!(matches!(broken.wait().await, Err(ServerError::Catalog(_))));
    last.wait().await.unwrap();
    assert_eq!(names(&catalog).await, ["a", "b"]);
    drop(catalog);
    thread.join().unwrap();
}

#[tokio::test]
async fn a_refusal_that_finds_no_room_on_the_disk_says_so_to_its_group() {
    struct Checked;
    impl ChangeHeld for Checked {
        fn checks_first(&self) -> bool {
            true
        }
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("incoming")).unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let (catalog, thread) = Catalog::open(&dir.path().join("catalog.db"), blobs).unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let first = catalog
        .submit(move |_| {
            let _ = held.recv();
            Ok(())
        })
        .await;
    let other = catalog.submit(insert("a")).await;
    let refuse = |_: &Connection, _: &Checked| Err::<(), _>(ServerError::refused(ErrorCode::NotFound, "no"));
    let full = |_: &Connection, _: &Checked, _: &ServerError| {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        Err(rusqlite::Error::SqliteFailure(code, None).into())
    };
    let refused = catalog.submit_holding(Checked, refuse, full).await;
    release.send(()).unwrap();
    for failed in [first.wait().await, other.wait().await, refused.wait().await] {
        assert!(failed.as_ref().is_err_and(ServerError::is_disk_full), "{failed:?}");
    }
    assert!(names(&catalog).await.is_empty());
    drop(catalog);
    thread.join().unwrap();
}

#[tokio::test]
async fn a_change_whose_asker_has_gone_is_made_only_if_it_is_not_the_askers_alone() {
    struct Asked;
    impl ChangeHeld for Asked {
        fn ends_with_its_asker(&self) -> bool {
            true
        }
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("incoming")).unwrap();
    let blobs = Blobs::open(dir.path()).unwrap();
    let (catalog, thread) = Catalog::open(&dir.path().join("catalog.db"), blobs).unwrap();
    let (release, held) = std::sync::mpsc::channel::<()>();
    let first = catalog
        .submit(move |_| {
            let _ = held.recv();
            Ok(())
        })
        .await;
    let asked = |name| {
        let insert = insert(name);
        catalog.submit_holding(Asked, move |connection, _| insert(connection), |_, _, _| Ok(()))
    };
    let waits = asked("waits").await;
    drop(asked("gone").await);
    drop(catalog.submit(insert("note")).await);
    release.send(()).unwrap();
    first.wait().await.unwrap();
    waits.wait().await.unwrap();
    assert_eq!(names(&catalog).await, ["note", "waits"]);
    drop(catalog);
    thread.join().unwrap();
}
