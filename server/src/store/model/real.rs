//! The real store, driven through the functions that requests come through.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization, TransactionOperation};
use sealift_protocol::message::{
    Body, Direction, Link, MakeDirectory, Put, Remove, Reply, Request, Stored, Transplant,
};
use sealift_protocol::{Digest, ErrorCode, Name, RemotePath};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::operation::{At, Bytes, Fault, Group, How, NAMES, Operation, Piece, SPACES, Unless};
use super::simple::{Outcome, Simple, Told};
use super::verify;
use crate::clock;
use crate::config::Config;
use crate::data::{DataDirectory, backup};
use crate::error::{Error, Result};
use crate::pki::{self, Pki};
use crate::policy::Rights;
use crate::request::put::commit::{Brought, commit};
use crate::request::transplant::Ends;
use crate::request::{change, disturbs, enter_with, submit};
use crate::session::Caller;
use crate::state::State;
use crate::store::catalog::Pending;
use crate::store::certificates::{self, NewCertificate, Origin};
use crate::store::entries::{self, Copied, Moved, NewFile};
use crate::store::objects::BlobId;
use crate::store::parts::{self, Target};
use crate::store::{Blobs, Catalog, gc, identities, packs, schema, spaces};
use crate::ticket::Ticket;

/// How long the server's certificate is valid.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long what an upload left is kept: longer than any test.
const KEEP: Duration = Duration::from_secs(3600);

/// What the writer's connection is told to do wrong. Clones share it.
#[derive(Debug, Clone, Default)]
struct Sabotage {
    /// Calls of the progress handler until it cuts the statement off; 0 for never.
    statement: Arc<AtomicU64>,
}

/// A store on the disk, and what a running server has of it.
pub(super) struct Real {
    dir: TempDir,
    data: DataDirectory,
    server: Option<(Arc<State>, JoinHandle<()>)>,
    sabotage: Sabotage,
    /// The number of each identity's newest certificate.
    certificates: [u64; NAMES.len()],
    /// Certificates that were ever made.
    issued: u64,
}

/// An operation that waits for its commit.
enum Submitted {
    Request(Pending<Reply>),
    Change(Pending<()>),
    /// It did not come so far.
    Ended(Outcome, String),
}

impl Sabotage {
    fn install(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        // SQLite calls the handler once more when a COMMIT is over. That would report a durable commit as failed, and only
        // tests cut off statements.
        let committing = Arc::new(AtomicBool::new(false));
        let (statement, spared) = (self.statement.clone(), committing.clone());
        let cut = move || {
            // In one step: the fault may end meanwhile.
            let next = |left: u64| left.checked_sub(1);
            !spared.load(Ordering::Relaxed)
                && statement.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) == Ok(1)
        };
        connection.progress_handler(1, Some(cut))?;
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            if let AuthAction::Transaction { operation } = context.action {
                // rusqlite has no name for COMMIT.
                committing.store(operation == TransactionOperation::Unknown, Ordering::Relaxed);
            }
            Authorization::Allow
        }))
    }

    fn prepare(&self, fault: Fault, connection: &Connection) -> Result<()> {
        let most = match fault {
            Fault::Full(pages) => {
                let count: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
                count + i64::from(pages)
            }
            _ => i64::from(u32::MAX - 1),
        };
        connection.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
        // Last, so that it does not hit this very transaction before its end.
        if let Fault::Statement(count) = fault {
            self.statement.store(u64::from(count), Ordering::Relaxed);
        }
        Ok(())
    }

    fn end(&self) {
        self.statement.store(0, Ordering::Relaxed);
    }
}

/// A data directory in which everybody has joined, to be copied for each case.
fn template() -> &'static Path {
    static TEMPLATE: LazyLock<TempDir> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        let (data, _) =
            DataDirectory::open_or_initialise(&dir.path().join("data"), SystemTime::now()).unwrap();
        let authority = pki::authority(&data).unwrap();
        Pki::open(&data, authority, Vec::new(), LIFETIME, SystemTime::now()).unwrap();
        let connection = schema::open(&data.catalog()).unwrap();
        for (number, name) in NAMES.iter().enumerate() {
            let name: Name = name.parse().unwrap();
            let identity = join(&connection, number, 0).unwrap();
            spaces::add(&connection, &name, Some(identity), 1).unwrap();
        }
        spaces::add(&connection, &"team".parse().unwrap(), None, 1).unwrap();
        connection.close().unwrap();
        dir
    });
    TEMPLATE.path()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy_tree(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

fn fingerprint(who: usize, number: u64) -> Digest {
    Digest::of(format!("{who} {number}").as_bytes())
}

fn join(connection: &Connection, who: usize, number: u64) -> Result<i64> {
    let identity = identities::ensure(connection, &NAMES[who].parse().unwrap(), 1)?;
    let fingerprint = &fingerprint(who, number);
    let origin = Origin::Token(None);
    let new = NewCertificate { fingerprint, issued_at: 1, expires_at: i64::MAX, origin };
    certificates::add(connection, identity, new)?;
    Ok(identity)
}

impl At {
    pub(super) fn path(&self) -> RemotePath {
        format!("/{}/{}", SPACES[self.space], self.names.join("/")).parse().unwrap()
    }
}

impl Real {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy_tree(&template().join("data"), &dir.path().join("data"));
        let data = DataDirectory::open(&dir.path().join("data")).unwrap();
        let mut real = Self {
            dir,
            data,
            server: None,
            sabotage: Sabotage::default(),
            certificates: Default::default(),
            issued: 0,
        };
        real.open();
        real
    }

    fn open(&mut self) {
        let blobs = Blobs::open(self.data.path()).unwrap();
        let sabotage = self.sabotage.clone();
        let prepare = move |connection: &mut Connection| sabotage.install(connection);
        let (catalog, writer) = Catalog::open_with(&self.data.catalog(), blobs.clone(), prepare).unwrap();
        let catalog = catalog.in_order();
        let authority = pki::authority(&self.data).unwrap();
        let pki = Pki::open(&self.data, authority, Vec::new(), LIFETIME, SystemTime::now()).unwrap();
        self.server = Some((Arc::new(State::new(Config::default().into(), catalog, blobs, pki)), writer));
    }

    pub(super) fn state(&self) -> &Arc<State> {
        &self.server.as_ref().unwrap().0
    }

    pub(super) fn caller(&self, who: usize) -> Caller {
        Caller {
            identity: i64::try_from(who + 1).unwrap(),
            name: NAMES[who].parse().unwrap(),
            uri: String::new(),
            fingerprint: fingerprint(who, self.certificates[who]),
            expires: i64::MAX,
            address: "127.0.0.1:1".into(),
            read_only: false,
        }
    }

    /// Goes back to certificates that are good, where a group that failed was to bring others.
    pub(super) fn forget_failed(&mut self, simple: &Simple) {
        for (who, certificate) in self.certificates.iter_mut().enumerate() {
            let newest = simple.good.range((who, 0)..=(who, u64::MAX)).next_back();
            *certificate = newest.map_or(*certificate, |(_, number)| *number);
        }
    }

    pub(super) fn is_known(&self, who: usize, simple: &Simple) -> bool {
        simple.good.contains(&(who, self.certificates[who]))
    }

    /// The files below `blobs/`, in a fixed order.
    pub(super) fn files(&self) -> Vec<Digest> {
        let mut files: Vec<_> =
            (0..=u8::MAX).flat_map(|number| self.state().blobs.in_directory(number).unwrap()).collect();
        files.sort();
        files
    }

    /// Submits a group while the writer is busy, and waits until all of it has ended.
    pub(super) async fn apply(&mut self, group: &Group, simple: &mut Simple) -> Result<Vec<Told>, String> {
        let incoming = self.data.path().join("incoming");
        let aside = self.dir.path().join("aside");
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = oneshot::channel();
        let (sabotage, fault) = (self.sabotage.clone(), group.fault);
        let hold = move |connection: &Connection| {
            let _ = begin.send(());
            let _ = held.recv();
            sabotage.prepare(fault, connection)
        };
        let holding = self.state().catalog.submit(hold).await;
        begun.await.map_err(|_| "the writer is gone")?;
        let mut submitted = Vec::new();
        for operation in &group.operations {
            let one = self.submit(operation, simple).await;
            submitted.push((one, operation.who().map_or(0, |who| self.certificates[who])));
        }
        if fault == Fault::Pack {
            fs::rename(&incoming, &aside).unwrap();
        }
        release.send(()).unwrap();
        let mut told = Vec::new();
        for ((submitted, bytes, file), certificate) in submitted {
            let (outcome, what) = match submitted {
                Submitted::Request(pending) => outcome(pending.wait().await),
                Submitted::Change(pending) => outcome(pending.wait().await.map(|()| Reply::Done {})),
                Submitted::Ended(outcome, what) => (outcome, what),
            };
            told.push(Told { outcome, what, bytes, file, certificate });
        }
        // The group may have nothing to wait for, and its fault must not hit what comes after it.
        let _ = holding.wait().await;
        self.sabotage.end();
        if let Fault::Full(_) = fault {
            let sabotage = self.sabotage.clone();
            let mend = move |connection: &Connection| sabotage.prepare(Fault::Nothing, connection);
            self.state().catalog.write(mend).await.map_err(|error| error.to_string())?;
        }
        if fault == Fault::Pack {
            fs::rename(&aside, &incoming).unwrap();
        }
        if simple.unlinks(group) {
            // Until then what was deleted can be claimed.
            let state = self.state();
            state.trees.settle(&state.catalog).await.map_err(|error| error.to_string())?;
        }
        Ok(told)
    }

    async fn submit(
        &mut self,
        operation: &Operation,
        simple: &mut Simple,
    ) -> (Submitted, Option<Arc<Bytes>>, Option<u64>) {
        let submitted = match operation {
            Operation::Put { by, at, piece, how, mtime, update } => {
                let bytes = piece.bytes();
                let brought = match (how, piece) {
                    (How::Claimed, _) => None,
                    (How::Sent, Piece::Large(_)) => Some(self.place(&bytes).await),
                    (How::Sent, _) => Some(Brought::Inline(bytes.data.clone(), None)),
                };
                self.put(*by, at, &bytes, brought, *mtime, *update).await
            }
            Operation::PutBlob { by, at, which } => {
                let files = self.files();
                let Some(digest) = files.get(usize::from(*which) % files.len().max(1)) else {
                    let bytes = Piece::Tiny(0).bytes();
                    let brought = Brought::Inline(bytes.data.clone(), None);
                    let submitted = self.put(*by, at, &bytes, Some(brought), 1, false).await;
                    return (submitted, Some(bytes), None);
                };
                let bytes = Bytes::new(fs::read(self.state().blobs.path(digest)).unwrap());
                let brought = self.place(&bytes).await;
                return (self.put(*by, at, &bytes, Some(brought), 1, false).await, Some(bytes), None);
            }
            Operation::Begin { by, at, piece, blocks } => {
                let bytes = Piece::Large(*piece).bytes();
                let mut incoming = self.state().blobs.receive().unwrap();
                incoming.write_all(&bytes.data[..usize::from(*blocks) * 4096]).unwrap();
                let hold = incoming.hold().clone();
                hold.keep();
                let (caller, path, file) = (self.caller(*by), at.path(), hold.file());
                let size = bytes.data.len() as u64;
                let insert = move |connection: &Connection| {
                    let wanted = Rights::CREATE.union(Rights::REPLACE);
                    let (permit, names) = enter_with(connection, &caller, &path, wanted)?;
                    let key = Target::new(caller.identity, &permit, &names).upload(size, 2);
                    parts::insert(connection, file, &key)
                };
                let pending = self.state().catalog.submit(insert).await;
                return (Submitted::Change(pending), None, Some(file));
            }
            Operation::Continue { by, at, piece } => {
                let bytes = Piece::Large(*piece).bytes();
                let brought = match self.offered(*by, at, *piece) {
                    None => self.place(&bytes).await,
                    Some(offer) => {
                        let hold = parts::take(&self.state().blobs, offer, bytes.data.len() as u64);
                        let hold = hold.unwrap().unwrap();
                        hold.keep();
                        let mut incoming = self.state().blobs.resume(hold, offer.offset).unwrap();
                        let sent = usize::try_from(offer.offset).unwrap();
                        incoming.write_all(&bytes.data[sent..]).unwrap();
                        // However this ends, there is nothing to be continued any more.
                        let of = simple.parts.get_mut(&(*by, at.clone(), *piece));
                        of.and_then(|parts| parts.remove(&offer.file));
                        self.place_incoming(incoming, &bytes).await
                    }
                };
                self.put(*by, at, &bytes, Some(brought), 2, false).await
            }
            Operation::MakeDirectory { by, at, if_absent } => {
                let make = MakeDirectory { path: at.path(), mtime: None, if_absent: *if_absent };
                self.request(*by, Request::MakeDirectory(make)).await
            }
            Operation::Link { by, at, mtime } => {
                let link = Link { path: at.path(), target: "target".into(), mtime: Some(*mtime) };
                self.request(*by, Request::Link(link)).await
            }
            Operation::Remove { by, at, recursive } => {
                self.request(
                    *by,
                    Request::Remove(Remove { path: at.path(), recursive: *recursive, if_match: None }),
                )
                .await
            }
            Operation::Move { by, from, to, unless } => self.transplant(*by, from, to, *unless, true).await,
            Operation::Copy { by, from, to, unless } => self.transplant(*by, from, to, *unless, false).await,
            Operation::Grant { space, to, rights } => {
                let (space, to, rights) = (SPACES[*space].parse::<Name>().unwrap(), *to, *rights);
                let to = to.map(|to| NAMES[to].parse::<Name>().unwrap());
                self.change(move |connection| {
                    spaces::grant(connection, &space, to.as_ref(), Rights::from_bits(rights))
                })
                .await
            }
            Operation::Revoke(who) => {
                let name: Name = NAMES[*who].parse().unwrap();
                self.change(move |connection| identities::revoke(connection, &name, clock::now()).map(drop))
                    .await
            }
            Operation::Join(who) => {
                // What comes later in the group uses the new certificate; should the group fail, there is none.
                self.issued += 1;
                self.certificates[*who] = self.issued;
                let (who, number) = (*who, self.certificates[*who]);
                self.change(move |connection| join(connection, who, number).map(drop)).await
            }
            Operation::Dissolve => self.dissolve().await,
        };
        (submitted, None, None)
    }

    /// What an identity could continue now.
    pub(super) fn offered(&self, by: usize, at: &At, piece: u8) -> Option<parts::Offer> {
        let identity = i64::try_from(by + 1).unwrap();
        let space = i64::try_from(at.space + 1).unwrap();
        let size = Piece::Large(piece).bytes().data.len() as u64;
        let key = Target::of(identity, space, &at.names.join("/")).upload(size, 2);
        let blobs = &self.state().blobs;
        self.state().catalog.read_here(|connection| parts::offer(connection, blobs, &key)).unwrap()
    }

    /// What the collector does with one pack, up to the change that it submits.
    async fn dissolve(&self) -> Submitted {
        let blobs = self.state().blobs.clone();
        let guard = blobs.guard();
        let look = |connection: &Connection| {
            let thinned = packs::thinned(connection)?.into_iter().next();
            Ok(thinned
                .map(|blob: BlobId| packs::rest(connection, &blobs, blob, &guard))
                .transpose()?
                .flatten())
        };
        match self.state().catalog.read_here(look).unwrap() {
            Some(rest) => self.change(move |connection| rest.keep(connection)).await,
            None => Submitted::Ended(Outcome::Done, String::new()),
        }
    }

    /// A content's file in its place.
    async fn place(&self, bytes: &Bytes) -> Brought {
        let mut incoming = self.state().blobs.receive().unwrap();
        incoming.write_all(&bytes.data).unwrap();
        self.place_incoming(incoming, bytes).await
    }

    async fn place_incoming(&self, incoming: crate::store::incoming::Incoming, bytes: &Bytes) -> Brought {
        let guard = self.state().blobs.guard();
        let hold = self.state().blobs.place(incoming, &bytes.digest, &guard).unwrap();
        Brought::Blob(guard, hold)
    }

    async fn put(
        &self,
        by: usize,
        at: &At,
        bytes: &Bytes,
        brought: Option<Brought>,
        mtime: i64,
        update: bool,
    ) -> Submitted {
        let (caller, path) = (self.caller(by), at.path());
        let stored = Stored { size: bytes.data.len() as u64, sha256: bytes.digest };
        let ticket = Ticket::new(self.state(), &caller, Direction::Put, &path);
        let (body, mtime) = (Body::Inline, Some(mtime));
        let (size, sha256) = (Some(stored.size), Some(stored.sha256));
        let (executable, resume, key) = (false, None, None);
        let put = Put { path, body, size, sha256, mtime, executable, update, resume, key };
        Submitted::Request(commit(self.state(), &caller, put, brought, stored, ticket).await)
    }

    async fn request(&self, by: usize, request: Request) -> Submitted {
        let disturbed = disturbs(&request);
        let change = change(request).unwrap_or_else(|request| panic!("{request:?} is no change"));
        Submitted::Request(submit(self.state(), &self.caller(by), change, disturbed).await)
    }

    /// A move or a copy, as far as it is one change.
    async fn transplant(&self, by: usize, from: &At, to: &At, unless: Unless, moves: bool) -> Submitted {
        let caller = self.caller(by);
        let Unless { taken: if_absent, directory: exact } = unless;
        let paths = Transplant { from: from.path(), to: to.path(), if_absent, exact };
        let work = move |connection: &Connection| {
            let of = if moves { Ends::of_move } else { Ends::of_copy };
            let ends = of(connection, &caller, &paths)?;
            let now = clock::now();
            let directories = NewFile { mtime: now, executable: false, by: caller.identity, now };
            let (from, to) = (ends.from(), ends.to());
            let done = if moves {
                matches!(entries::rename(connection, from, to, &directories, None)?, Moved::Done(_))
            } else {
                matches!(entries::copy(connection, from, to, caller.identity, now)?, Copied::Done(_))
            };
            // What is large is done in many changes, which have tests of their own.
            if done { Ok(()) } else { Err(Error::refused(ErrorCode::Busy, "large")) }
        };
        self.change(work).await
    }

    async fn change(&self, work: impl FnOnce(&Connection) -> Result<()> + Send + 'static) -> Submitted {
        Submitted::Change(self.state().catalog.submit(work).await)
    }

    /// The collector's turn, after which nothing is there that nobody needs.
    pub(super) async fn collect(&mut self, simple: &mut Simple) -> Result<(), String> {
        let state = self.state();
        state.trees.settle(&state.catalog).await.map_err(|error| error.to_string())?;
        match gc::everything(&state.catalog, &state.blobs, KEEP, true).await {
            gc::Outcome::Done(_) => {}
            other => return Err(format!("the collection ended with {other:?}")),
        }
        for parts in simple.parts.values_mut() {
            // Only the longest is kept.
            let longest = parts.iter().map(|(file, blocks)| (*blocks, *file)).max();
            parts.retain(|file, _| longest.is_some_and(|(_, longest)| *file == longest));
        }
        verify::nothing_is_left(self)
    }

    /// As at the end of a server and the start of another.
    pub(super) async fn reopen(&mut self) -> Result<(), String> {
        let (state, writer) = self.server.take().unwrap();
        drop(state);
        tokio::task::spawn_blocking(|| writer.join())
            .await
            .unwrap()
            .map_err(|_| "the writer has panicked")?;
        self.open();
        Ok(())
    }

    /// Damages a file below `blobs/`.
    pub(super) fn damage(&self, which: u8, simple: &mut Simple) -> Result<(), String> {
        let files = self.files();
        let Some(blob) = files.get(usize::from(which / 3) % files.len().max(1)) else { return Ok(()) };
        let path = self.state().blobs.path(blob);
        let mut bytes = fs::read(&path).unwrap();
        match which % 3 {
            0 => {
                let at = usize::from(which) * 997 % bytes.len();
                bytes[at] ^= 1;
                fs::write(&path, bytes).unwrap();
            }
            1 => fs::write(&path, &bytes[..bytes.len() / 2]).unwrap(),
            _ => fs::remove_file(&path).unwrap(),
        }
        let contents = |connection: &Connection| {
            let mut statement = connection.prepare(
                "SELECT objects.digest FROM objects JOIN extents ON object = objects.id
                 JOIN blobs ON blobs.id = blob WHERE blobs.digest = ?1",
            )?;
            let rows = statement.query_map([blob.as_bytes()], |row| row.get(0).map(Digest::from_bytes))?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        };
        let contents = self.state().catalog.read_here(contents).map_err(|error| error.to_string())?;
        simple.damaged.extend(contents);
        simple.damaged_files.insert(*blob);
        Ok(())
    }

    /// Takes a backup, which must hold what the model does.
    pub(super) fn back_up(&self, simple: &Simple) -> Result<(), String> {
        let target = self.dir.path().join("backup");
        let connection = schema::open_reader(&self.data.catalog()).unwrap();
        backup::take(&self.data, &connection, &target, false).map_err(|error| error.to_string())?;
        let connection = schema::open(&target.join("catalog.db")).unwrap();
        verify::tree(&connection, &target, simple).map_err(|fault| format!("in the backup: {fault}"))
    }

    pub(super) fn data(&self) -> PathBuf {
        self.data.path().to_owned()
    }
}

fn outcome(result: Result<Reply>) -> (Outcome, String) {
    match result {
        Ok(Reply::Kept {}) => (Outcome::Kept, String::new()),
        Ok(_) => (Outcome::Done, String::new()),
        Err(Error::Refused(error)) => match error.code {
            ErrorCode::NotAllowed | ErrorCode::CertificateRefused => (Outcome::Denied, error.message),
            ErrorCode::Busy => (Outcome::Large, error.message),
            _ => (Outcome::Refused, error.message),
        },
        Err(error) => (Outcome::Failed, error.to_string()),
    }
}
