//! The data directory, looked at behind the server's back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use sealift_server::store::schema;
use sealift_types::{Digest, Hasher};

use crate::eventually;

/// What a server keeps on disk.
#[derive(Debug, Clone)]
pub struct Store {
    data: PathBuf,
}

/// A row of the transfer log as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Who.
    pub identity: String,
    /// From where.
    pub address: String,
    /// `put` or `get`.
    pub direction: String,
    /// The whole path.
    pub path: String,
    /// Bytes of content.
    pub bytes: u64,
    /// Bytes of frames.
    pub wire_bytes: u64,
    /// Microseconds.
    pub duration_us: u64,
    /// How it failed.
    pub error: Option<String>,
}

impl Store {
    pub(crate) fn new(data: &Path) -> Self {
        Self { data: data.to_owned() }
    }

    /// The files below `blobs/`, by the digest that is their name.
    pub fn blobs(&self) -> BTreeMap<Digest, PathBuf> {
        let mut blobs = BTreeMap::new();
        for directory in fs::read_dir(self.data.join("blobs")).unwrap() {
            for file in fs::read_dir(directory.unwrap().path()).unwrap() {
                let path = file.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap();
                blobs.insert(Digest::from_str(name).unwrap(), path.clone());
            }
        }
        blobs
    }

    /// Where a blob's file has to be.
    pub fn blob(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.data.join("blobs").join(&name[..2]).join(name)
    }

    /// The files in `incoming/`.
    pub fn incoming(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.data.join("incoming")).unwrap();
        files.map(|file| file.unwrap().path()).collect()
    }

    /// Waits until so many bytes of an upload are in `incoming/`.
    pub async fn part_of(&self, bytes: u64) {
        let part =
            || self.incoming().iter().any(|file| fs::metadata(file).is_ok_and(|file| file.len() >= bytes));
        eventually(&format!("{bytes} bytes of an upload"), || part().then_some(())).await;
    }

    /// How many rows a table has.
    pub fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        self.reader().query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    /// Waits until nothing is in `incoming/`, and no part known.
    pub async fn without_parts(&self) {
        let empty = || (self.incoming().is_empty() && self.parts().is_empty()).then_some(());
        eventually("an empty incoming/", empty).await;
    }

    /// The transfer log, oldest first.
    pub fn log(&self) -> Vec<LogRow> {
        let reader = self.reader();
        let mut statement = reader
            .prepare(
                "SELECT name, address, direction, path, bytes, wire_bytes, duration_us, error
                 FROM transfers JOIN identities ON identities.id = identity ORDER BY transfers.id",
            )
            .unwrap();
        let rows = statement.query_map([], |row| {
            Ok(LogRow {
                identity: row.get(0)?,
                address: row.get(1)?,
                direction: row.get(2)?,
                path: row.get(3)?,
                bytes: row.get::<_, i64>(4)?.cast_unsigned(),
                wire_bytes: row.get::<_, i64>(5)?.cast_unsigned(),
                duration_us: row.get::<_, i64>(6)?.cast_unsigned(),
                error: row.get(7)?,
            })
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Waits for a row of the log about this path.
    pub async fn logged(&self, path: &str) -> LogRow {
        eventually(&format!("{path} in the log"), || self.log().into_iter().rfind(|row| row.path == path))
            .await
    }

    /// The same for a download.
    pub async fn logged_get(&self, path: &str) -> LogRow {
        let look = || self.log().into_iter().rfind(|row| row.path == path && row.direction == "get");
        eventually(&format!("a download of {path} in the log"), look).await
    }

    /// The numbers of the uploads that can be continued, now or once they break off.
    pub fn parts(&self) -> BTreeSet<String> {
        self.numbers("SELECT file FROM parts").into_iter().map(|file| file.to_string()).collect()
    }

    /// Waits until nothing is on its way any more: no file in `incoming/` but those of parts that the catalog knows, and
    /// all of these, no garbage, no tree that no path leads to, no blob without a row. Then checks that every byte that the catalog knows is there and
    /// is what its name says.
    pub async fn settled(&self) {
        let mut last = String::new();
        let quiet = || {
            let unquiet = self.unquiet();
            let done = unquiet.is_none();
            last = unquiet.unwrap_or_default();
            done.then_some(())
        };
        let waited = tokio::time::timeout(crate::PATIENCE / 3, eventually("a quiet store", quiet)).await;
        assert!(waited.is_ok(), "the store does not come to rest: {last}");
        self.verify();
    }

    /// What is still on its way.
    fn unquiet(&self) -> Option<String> {
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let incoming: BTreeSet<_> = self.incoming().into_iter().map(name).collect();
        let parts = self.parts();
        let garbage = self.count("released")
            + self.count("garbage")
            + self.count("thinned")
            + self.count("relabels")
            + self.count("entries WHERE parent = 0");
        let rows = self.blob_rows();
        let orphans: Vec<_> = self.blobs().into_keys().filter(|digest| !rows.contains_key(digest)).collect();
        let quiet = incoming == parts && garbage == 0 && orphans.is_empty();
        let unquiet = || {
            format!(
                "incoming {incoming:?}, parts {parts:?}, {garbage} rows for the collector, orphans {orphans:?}"
            )
        };
        (!quiet).then(unquiet)
    }

    /// Checks that every blob and every small content is whole, and that every name leads to one.
    ///
    /// What the collector is about to drop is waited for, as long as there may be a server.
    pub fn verify(&self) {
        const PATIENCE: Duration = Duration::from_secs(3);
        let begun = Instant::now();
        let is_quiet = || ["released", "garbage", "thinned"].iter().all(|table| self.count(table) == 0);
        while !is_quiet() && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        for (digest, size) in self.blob_rows() {
            let (found, length) = digest_of_file(&self.blob(&digest));
            assert_eq!((found, length), (digest, size), "a blob is not what its name says");
        }
        let reader = self.reader();
        let mut statement = reader.prepare(
            "SELECT objects.id, digest, size, data FROM objects LEFT JOIN contents ON object = objects.id",
        );
        let mut rows = statement.as_mut().unwrap().query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let digest = Digest::from_bytes(row.get(1).unwrap());
            let size = row.get::<_, i64>(2).unwrap().cast_unsigned();
            let extents = self.extents(row.get(0).unwrap());
            let data = row.get::<_, Option<Vec<u8>>>(3).unwrap().unwrap_or_else(|| extents.concat());
            assert_eq!((Digest::of(&data), data.len() as u64), (digest, size), "{digest} is not whole");
            assert!(
                row.get::<_, Option<Vec<u8>>>(3).unwrap().is_none() || extents.is_empty(),
                "{digest} is kept twice"
            );
        }
        let named: BTreeSet<i64> =
            self.numbers("SELECT DISTINCT object FROM entries WHERE object IS NOT NULL");
        let released: BTreeSet<i64> = self.numbers("SELECT object FROM released");
        let kept: BTreeSet<i64> = self.numbers("SELECT id FROM objects");
        let kept: BTreeSet<_> =
            kept.into_iter().filter(|object| named.contains(object) || !released.contains(object)).collect();
        assert_eq!(named, kept, "contents and names do not agree");
    }

    /// The bytes of a content's extents.
    fn extents(&self, object: i64) -> Vec<Vec<u8>> {
        let reader = self.reader();
        let mut statement = reader
            .prepare(
                "SELECT digest, offset, length FROM extents JOIN blobs ON blobs.id = blob
                 WHERE object = ?1 ORDER BY position",
            )
            .unwrap();
        let rows = statement.query_map([object], |row| {
            let range: (u64, u64) =
                (row.get::<_, i64>(1)?.cast_unsigned(), row.get::<_, i64>(2)?.cast_unsigned());
            Ok((Digest::from_bytes(row.get(0)?), range))
        });
        let read = |(blob, (offset, length)): (Digest, (u64, u64))| {
            let mut file = fs::File::open(self.blob(&blob)).unwrap();
            file.seek(SeekFrom::Start(offset)).unwrap();
            let mut bytes = Vec::new();
            file.take(length).read_to_end(&mut bytes).unwrap();
            bytes
        };
        rows.unwrap().map(|row| read(row.unwrap())).collect()
    }

    fn blob_rows(&self) -> BTreeMap<Digest, u64> {
        let reader = self.reader();
        let mut statement = reader.prepare("SELECT digest, size FROM blobs").unwrap();
        let rows = statement.query_map([], |row| {
            Ok((Digest::from_bytes(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned()))
        });
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn numbers(&self, sql: &str) -> BTreeSet<i64> {
        let reader = self.reader();
        let mut statement = reader.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn reader(&self) -> Connection {
        schema::open_reader(&self.data.join("catalog.db")).unwrap()
    }
}

/// The digest and the length of a file.
pub fn digest_of_file(path: &Path) -> (Digest, u64) {
    let (mut hasher, mut length) = (Hasher::new(), 0);
    let mut file = fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match std::io::Read::read(&mut file, &mut buffer).unwrap() {
            0 => return (hasher.finish(), length),
            count => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
        }
    }
}
