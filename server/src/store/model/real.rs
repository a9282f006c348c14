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
use sealift_types::{Digest, EntryPath, ErrorCode, Name, Rights};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::operation::{
    ModelBytes, ModelCondition, ModelContent, ModelFault, ModelGroup, ModelOperation, ModelPath, ModelUpload,
    NAMES, SPACES,
};
use super::simple::{ModelOutcome, RealAnswer, Simple};
use super::verify;
use crate::caller::Caller;
use crate::clock;
use crate::config::ServerConfig;
use crate::data::{DataDirectory, backup};
use crate::error::{Result, ServerError};
use crate::pki::{self, Pki};
use crate::request::put::commit::{UploadedContent, commit};
use crate::request::transplant::TransplantEnds;
use crate::request::{change, disturbs, enter_with, submit};
use crate::state::ServerState;
use crate::store::catalog::PendingCommit;
use crate::store::certificates::{self, CertificateOrigin, NewCertificate};
use crate::store::entries::{self, NewEntry, TreeCopied, TreeMoved};
use crate::store::objects::BlobId;
use crate::store::partial_uploads::{self, UploadPath};
use crate::store::{Blobs, Catalog, dissolve, gc, identities, schema, spaces};
use crate::transfer_guard::TransferGuard;

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
    server: Option<(Arc<ServerState>, JoinHandle<()>)>,
    sabotage: Sabotage,
    /// The number of each identity's newest certificate.
    certificates: [u64; NAMES.len()],
    /// Certificates that were ever made.
    issued: u64,
}

/// An operation that waits for its commit.
enum Submitted {
    Request(PendingCommit<Reply>),
    Change(PendingCommit<()>),
    /// It did not come so far.
    Ended(ModelOutcome, String),
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

    fn prepare(&self, fault: ModelFault, connection: &Connection) -> Result<()> {
        let most = match fault {
            ModelFault::Full(pages) => {
                let count: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
                count + i64::from(pages)
            }
            _ => i64::from(u32::MAX - 1),
        };
        connection.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))?;
        // Last, so that it does not hit this very transaction before its end.
        if let ModelFault::Statement(count) = fault {
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
    let origin = CertificateOrigin::Token(None);
    let new = NewCertificate { fingerprint, issued_at: 1, expires_at: i64::MAX, origin };
    certificates::add(connection, identity, new)?;
    Ok(identity)
}

impl ModelPath {
    pub(super) fn path(&self) -> EntryPath {
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
        self.server =
            Some((Arc::new(ServerState::new(ServerConfig::default().into(), catalog, blobs, pki)), writer));
    }

    pub(super) fn state(&self) -> &Arc<ServerState> {
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
    pub(super) async fn apply(
        &mut self,
        group: &ModelGroup,
        simple: &mut Simple,
    ) -> Result<Vec<RealAnswer>, String> {
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
        if fault == ModelFault::Pack {
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
            told.push(RealAnswer { outcome, what, bytes, file, certificate });
        }
        // The group may have nothing to wait for, and its fault must not hit what comes after it.
        let _ = holding.wait().await;
        self.sabotage.end();
        if let ModelFault::Full(_) = fault {
            let sabotage = self.sabotage.clone();
            let mend = move |connection: &Connection| sabotage.prepare(ModelFault::Nothing, connection);
            self.state().catalog.write(mend).await.map_err(|error| error.to_string())?;
        }
        if fault == ModelFault::Pack {
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
        operation: &ModelOperation,
        simple: &mut Simple,
    ) -> (Submitted, Option<Arc<ModelBytes>>, Option<u64>) {
        let submitted = match operation {
            ModelOperation::Put { by, at, piece, how, mtime, update } => {
                let bytes = piece.bytes();
                let brought = match (how, piece) {
                    (ModelUpload::Claimed, _) => None,
                    (ModelUpload::Sent, ModelContent::Large(_)) => Some(self.place(&bytes).await),
                    (ModelUpload::Sent, _) => Some(UploadedContent::Inline(bytes.data.clone(), None)),
                };
                self.put(*by, at, &bytes, brought, *mtime, *update).await
            }
            ModelOperation::PutBlob { by, at, which } => {
                let files = self.files();
                let Some(digest) = files.get(usize::from(*which) % files.len().max(1)) else {
                    let bytes = ModelContent::Tiny(0).bytes();
                    let brought = UploadedContent::Inline(bytes.data.clone(), None);
                    let submitted = self.put(*by, at, &bytes, Some(brought), 1, false).await;
                    return (submitted, Some(bytes), None);
                };
                let bytes = ModelBytes::new(fs::read(self.state().blobs.path(digest)).unwrap());
                let brought = self.place(&bytes).await;
                return (self.put(*by, at, &bytes, Some(brought), 1, false).await, Some(bytes), None);
            }
            ModelOperation::Begin { by, at, piece, blocks } => {
                let bytes = ModelContent::Large(*piece).bytes();
                let mut incoming = self.state().blobs.receive().unwrap();
                incoming.write_all(&bytes.data[..usize::from(*blocks) * 4096]).unwrap();
                let hold = incoming.hold().clone();
                hold.keep();
                let (caller, path, file) = (self.caller(*by), at.path(), hold.file());
                let size = bytes.data.len() as u64;
                let insert = move |connection: &Connection| {
                    let wanted = Rights::CREATE.union(Rights::REPLACE);
                    let (permit, names) = enter_with(connection, &caller, &path, wanted)?;
                    let key = UploadPath::new(caller.identity, &permit, &names).upload(size, 2);
                    partial_uploads::insert(connection, file, &key)
                };
                let pending = self.state().catalog.submit(insert).await;
                return (Submitted::Change(pending), None, Some(file));
            }
            ModelOperation::Continue { by, at, piece } => {
                let bytes = ModelContent::Large(*piece).bytes();
                let brought = match self.offered(*by, at, *piece) {
                    None => self.place(&bytes).await,
                    Some(offer) => {
                        let hold = partial_uploads::take(&self.state().blobs, offer, bytes.data.len() as u64);
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
            ModelOperation::MakeDirectory { by, at, if_absent } => {
                let make = MakeDirectory { path: at.path(), mtime: None, if_absent: *if_absent };
                self.request(*by, Request::MakeDirectory(make)).await
            }
            ModelOperation::Link { by, at, mtime } => {
                let link = Link { path: at.path(), target: "target".into(), mtime: Some(*mtime) };
                self.request(*by, Request::Link(link)).await
            }
            ModelOperation::Remove { by, at, recursive } => {
                self.request(
                    *by,
                    Request::Remove(Remove { path: at.path(), recursive: *recursive, if_match: None }),
                )
                .await
            }
            ModelOperation::Move { by, from, to, unless } => {
                self.transplant(*by, from, to, *unless, true).await
            }
            ModelOperation::Copy { by, from, to, unless } => {
                self.transplant(*by, from, to, *unless, false).await
            }
            ModelOperation::Grant { space, to, rights } => {
                let (space, to, rights) = (SPACES[*space].parse::<Name>().unwrap(), *to, *rights);
                let to = to.map(|to| NAMES[to].parse::<Name>().unwrap());
                self.change(move |connection| {
                    spaces::grant(connection, &space, to.as_ref(), Rights::from_bits(rights))
                })
                .await
            }
            ModelOperation::Revoke(who) => {
                let name: Name = NAMES[*who].parse().unwrap();
                self.change(move |connection| identities::revoke(connection, &name, clock::now()).map(drop))
                    .await
            }
            ModelOperation::Join(who) => {
                // What comes later in the group uses the new certificate; should the group fail, there is none.
                self.issued += 1;
                self.certificates[*who] = self.issued;
                let (who, number) = (*who, self.certificates[*who]);
                self.change(move |connection| join(connection, who, number).map(drop)).await
            }
            ModelOperation::Dissolve => self.dissolve().await,
        };
        (submitted, None, None)
    }

    /// What an identity could continue now.
    pub(super) fn offered(
        &self,
        by: usize,
        at: &ModelPath,
        piece: u8,
    ) -> Option<partial_uploads::ResumeOffer> {
        let identity = i64::try_from(by + 1).unwrap();
        let space = i64::try_from(at.space + 1).unwrap();
        let size = ModelContent::Large(piece).bytes().data.len() as u64;
        let key = UploadPath::of(identity, space, &at.names.join("/")).upload(size, 2);
        let blobs = &self.state().blobs;
        self.state().catalog.read_here(|connection| partial_uploads::offer(connection, blobs, &key)).unwrap()
    }

    /// What the collector does with one pack, up to the change that it submits.
    async fn dissolve(&self) -> Submitted {
        let blobs = self.state().blobs.clone();
        let guard = blobs.guard();
        let look = |connection: &Connection| {
            let thinned = dissolve::thinned(connection)?.into_iter().next();
            Ok(thinned
                .map(|blob: BlobId| dissolve::rest(connection, &blobs, blob, &guard))
                .transpose()?
                .flatten())
        };
        match self.state().catalog.read_here(look).unwrap() {
            Some(rest) => self.change(move |connection| rest.keep(connection)).await,
            None => Submitted::Ended(ModelOutcome::Done, String::new()),
        }
    }

    /// A content's file in its place.
    async fn place(&self, bytes: &ModelBytes) -> UploadedContent {
        let mut incoming = self.state().blobs.receive().unwrap();
        incoming.write_all(&bytes.data).unwrap();
        self.place_incoming(incoming, bytes).await
    }

    async fn place_incoming(
        &self,
        incoming: crate::store::incoming::StagedFile,
        bytes: &ModelBytes,
    ) -> UploadedContent {
        let guard = self.state().blobs.guard();
        let hold = self.state().blobs.place(incoming, &bytes.digest, &guard).unwrap();
        UploadedContent::Blob(guard, hold)
    }

    async fn put(
        &self,
        by: usize,
        at: &ModelPath,
        bytes: &ModelBytes,
        brought: Option<UploadedContent>,
        mtime: i64,
        update: bool,
    ) -> Submitted {
        let (caller, path) = (self.caller(by), at.path());
        let stored = Stored { size: bytes.data.len() as u64, sha256: bytes.digest };
        let ticket = TransferGuard::new(self.state(), &caller, Direction::Put, &path);
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
    async fn transplant(
        &self,
        by: usize,
        from: &ModelPath,
        to: &ModelPath,
        unless: ModelCondition,
        moves: bool,
    ) -> Submitted {
        let caller = self.caller(by);
        let ModelCondition { taken: if_absent, directory: exact } = unless;
        let paths = Transplant { from: from.path(), to: to.path(), if_absent, exact };
        let work = move |connection: &Connection| {
            let of = if moves { TransplantEnds::of_move } else { TransplantEnds::of_copy };
            let ends = of(connection, &caller, &paths)?;
            let now = clock::now();
            let directories = NewEntry { mtime: now, executable: false, by: caller.identity, now };
            let (from, to) = (ends.from(), ends.to());
            let done = if moves {
                matches!(entries::rename(connection, from, to, &directories, None)?, TreeMoved::Done(_))
            } else {
                matches!(entries::copy(connection, from, to, caller.identity, now)?, TreeCopied::Done(_))
            };
            // What is large is done in many changes, which have tests of their own.
            if done { Ok(()) } else { Err(ServerError::refused(ErrorCode::Busy, "large")) }
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
            gc::CollectionOutcome::Done(_) => {}
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

fn outcome(result: Result<Reply>) -> (ModelOutcome, String) {
    match result {
        Ok(Reply::Kept {}) => (ModelOutcome::Kept, String::new()),
        Ok(_) => (ModelOutcome::Done, String::new()),
        Err(ServerError::Refused(error)) => match error.code {
            ErrorCode::NotAllowed | ErrorCode::CertificateRefused => (ModelOutcome::Denied, error.message),
            ErrorCode::Busy => (ModelOutcome::Large, error.message),
            _ => (ModelOutcome::Refused, error.message),
        },
        Err(error) => (ModelOutcome::Failed, error.to_string()),
    }
}
