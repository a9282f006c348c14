//! A local tree onto the server.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use sealift_protocol::WireError;
use sealift_protocol::message::{Description, Entry, EntryKind};
use sealift_types::{Digest, EntryPath, ErrorCode};
use tokio::task::spawn_blocking;

use super::extras::{Extra, Extras};
use super::listing::{self, Listed};
use super::pairs::{Pair, PairStep, Pairs};
use super::walk::{LocalEntry, LocalKind};
use super::{
    DeletePolicy, LeftEntry, Numbering, SyncOptions, SyncOutcome, SyncWatch, Withheld, check_conditions,
    describe, digest, lock,
};
use crate::client::Client;
use crate::error::{TransferError, Unfit};
use crate::event::{EitherPath, Event, Events, TreeChange, TreeChangeKind};
use crate::local::{self, Abilities, TreeRoot};
use crate::remote;
use crate::retry::AttemptCounter;
use crate::transfer_options::TransferOptions;
use crate::tree::Omitted;
use crate::upload::{Upload, UploadSource, upload};

/// Entries that are deleted by one run of requests.
const BATCH: usize = 256;

/// Makes the server's directory `to` equal to the local directory `from`. How each transfer ended is told by an event.
///
/// # Errors
/// Fails when either is no directory, when the tree on the server cannot be listed, and when there is no connection,
/// or none any more and none to be had.
pub async fn up(
    client: &mut Client,
    from: &Path,
    to: &EntryPath,
    rules: &SyncOptions,
    events: Events<'_>,
) -> Result<SyncOutcome, TransferError> {
    let metadata = from.metadata().map_err(TransferError::local("read", from))?;
    if !metadata.is_dir() {
        return Err(TransferError::Unfit { path: from.to_owned(), unfit: Unfit::NeedsDirectory });
    }
    let numbering = Numbering::default();
    let (mut outcome, mut blocked) = pass(client, from, to, rules, &numbering, events).await?;
    if blocked.freed {
        // What stood in the way of something of another kind is gone now.
        let (later, still) = pass(client, from, to, rules, &numbering.next(), events).await?;
        (outcome, blocked) = (outcome.and(&later), still);
    }
    blocked.tell(events);
    Ok(outcome)
}

/// Entries in whose way something of another kind was.
#[derive(Debug, Default)]
struct Blocked {
    /// Whether something was deleted that was in the way.
    freed: bool,
    /// In whose way something is still.
    by: Vec<PathBuf>,
}

impl Blocked {
    fn tell(self, events: Events<'_>) {
        for path in self.by {
            let error = TransferError::Unfit { path: path.clone(), unfit: Unfit::Blocked };
            events(Event::Omitted(Omitted { path, error, in_tree: true }));
        }
    }
}

/// One comparison and what follows from it.
async fn pass(
    client: &mut Client,
    from: &Path,
    to: &EntryPath,
    rules: &SyncOptions,
    numbering: &Numbering,
    events: Events<'_>,
) -> Result<(SyncOutcome, Blocked), TransferError> {
    let before = super::Before::default();
    let watch = SyncWatch::new(events, numbering, Arc::clone(&before));
    let take = |event| watch.take(event);
    let there = describe(client, to, &take).await?;
    check_conditions(client, rules).await?;
    let (tell, listed) = match &there {
        Some(_) => {
            let (tell, listed) = listing::channel();
            (Some(tell), listed)
        }
        None => (None, Listed::empty()),
    };
    let tree = Arc::new(TreeRoot::open(from)?);
    let shared = Arc::new(Mutex::new(UpComparison::default()));
    let found = Differences {
        root: root(from, to, there.as_ref()),
        exists: there.is_some(),
        pairs: Pairs::new(
            from,
            Some(Arc::clone(&tree)),
            listed,
            &rules.walking.filter,
            false,
            !rules.dry_run,
        ),
        tree: Arc::clone(&tree),
        to: to.clone(),
        rules: rules.clone(),
        shared: Arc::clone(&shared),
        before,
        parts: VecDeque::new(),
        next: 0,
    };
    let other = client.another();
    let listing = async {
        if let Some(tell) = tell {
            listing::list(other, to, tell, &take).await;
        }
        Ok(())
    };
    let mut dry_run = Vec::new();
    if rules.dry_run {
        let collecting = async {
            let collected = spawn_blocking(move || found.collect::<Vec<_>>()).await;
            dry_run = collected.map_err(|panic| TransferError::Local {
                action: "read",
                path: from.to_owned(),
                source: std::io::Error::other(panic),
            })?;
            Ok(())
        };
        tokio::try_join!(listing, collecting)?;
    } else {
        let allow_changing = rules.allow_changing;
        let manner = TransferOptions { ask_first: true, allow_changing, ..TransferOptions::default() };
        let found = found.map(|found| found.map(|(upload, _)| upload));
        tokio::try_join!(listing, upload(client, found, manner, &take))?;
    }
    let mut shared = std::mem::take(&mut *lock(&shared));
    if let Some(error) = shared.error {
        return Err(error);
    }
    shared.extras.settle("");
    let mut outcome = SyncOutcome { unchanged: shared.unchanged, ..SyncOutcome::default() };
    let mut blocked = Blocked::default();
    for BlockedByRemote { number, path, upload } in std::mem::take(&mut shared.waiting) {
        match upload {
            _ if shared.extras.going[number].stays => blocked.by.push(path),
            Some(upload) if rules.dry_run => dry_run.push(Ok(upload)),
            _ => shared.waiting.push(BlockedByRemote { number, path, upload }),
        }
    }
    let files = || shared.extras.going.iter().filter(|extra| !extra.is_directory).map(|extra| &extra.entry);
    let mut had = Vec::new();
    if rules.dry_run {
        had = tell_of(dry_run, &files(), &tree, to, rules, &take);
        outcome.moved = had.len();
    } else {
        outcome.moved = watch.moved.load(Ordering::Relaxed);
        outcome.touched = watch.touched.load(Ordering::Relaxed);
    }
    let going = files().filter(|extra| {
        let digest = extra.sha256.as_ref();
        !digest.is_some_and(|digest| watch.has(digest) || had.contains(digest))
    });
    let going = going.count();
    if rules.delete == DeletePolicy::No || shared.extras.going.is_empty() {
        return Ok((outcome, blocked));
    }
    outcome.withheld = rules.judge(going, shared.files);
    if shared.extras.incomplete {
        outcome.withheld = Some(Withheld::TooMany { known: shared.extras.going.len() });
    }
    if watch.failed() {
        outcome.withheld = Some(Withheld::Failures);
    }
    if outcome.withheld.is_some() {
        return Ok((outcome, blocked));
    }
    let left;
    (outcome.deleted, left) = delete(client, to, &shared.extras, rules.dry_run, &take).await?;
    if rules.dry_run {
        return Ok((outcome, blocked));
    }
    let below = |number: &usize| Path::new(&shared.extras.going[*number].entry.below);
    blocked.freed = left.frees(shared.in_the_way.iter().map(below));
    for BlockedByRemote { number, path, .. } in shared.waiting {
        if left.has(Path::new(&shared.extras.going[number].entry.below)) {
            blocked.by.push(path);
        } else {
            blocked.freed = true;
        }
    }
    Ok((outcome, blocked))
}

/// The directory itself, unless it is as it should be.
fn root(from: &Path, to: &EntryPath, there: Option<&Description>) -> Option<Upload> {
    let mtime = from.metadata().ok().and_then(|metadata| local::mtime(&metadata));
    let abilities = Abilities::of(from, false);
    match there {
        Some(description) if description.kind == EntryKind::Space => return None,
        Some(description) if mtime.is_none_or(|mtime| abilities.is_same_time(mtime, description.mtime)) => {
            return None;
        }
        _ => {}
    }
    let source = UploadSource::Directory { path: from.to_owned(), mtime };
    Some(Upload { id: 0, source, to: to.clone(), inside: None })
}

/// What the comparison finds out beside what is to be uploaded.
#[derive(Debug, Default)]
struct UpComparison {
    unchanged: usize,
    /// Files and links in the destination.
    files: usize,
    extras: Extras<RemoteOnly>,
    /// Files and links that wait for a directory to go.
    waiting: Vec<BlockedByRemote>,
    /// Files and links among what only the server has that have to go before a directory can take their place.
    in_the_way: Vec<usize>,
    /// Why the comparison ended too early.
    error: Option<TransferError>,
}

/// An entry that only the server has.
#[derive(Debug)]
struct RemoteOnly {
    /// Its path below the root.
    below: String,
    size: u64,
    sha256: Option<Digest>,
    etag: Option<String>,
}

/// Something in whose way a directory is.
#[derive(Debug)]
struct BlockedByRemote {
    /// The directory among what only the server has.
    number: usize,
    path: PathBuf,
    /// What would become of it, if this is only talk.
    upload: Option<(Upload, TreeChangeKind)>,
}

impl RemoteOnly {
    fn of(entry: Entry) -> Self {
        let Entry { name: below, size, sha256, etag, .. } = entry;
        Self { below, size, sha256, etag }
    }
}

/// What is to be uploaded, found while it is asked for. Blocks.
struct Differences {
    root: Option<Upload>,
    /// Whether the destination is there.
    exists: bool,
    pairs: Pairs,
    /// The local tree.
    tree: Arc<TreeRoot>,
    to: EntryPath,
    rules: SyncOptions,
    shared: Arc<Mutex<UpComparison>>,
    before: super::Before,
    /// The keys of unfinished downloads here, in their order: what is called so on the server is left alone.
    parts: VecDeque<String>,
    next: usize,
}

impl Iterator for Differences {
    type Item = Result<(Upload, TreeChangeKind), Omitted>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(root) = self.root.take() {
            self.next = 1;
            let action = if self.exists { TreeChangeKind::Touch } else { TreeChangeKind::MakeDirectory };
            return Some(Ok((root, action)));
        }
        loop {
            let found = match self.pairs.next() {
                Ok(Some(PairStep::Pair(pair))) => self.judge(pair),
                Ok(Some(PairStep::LeftOut(key))) => {
                    lock(&self.shared).extras.protect(&key);
                    None
                }
                Ok(Some(PairStep::LeftHere(_))) => None,
                Ok(Some(PairStep::Part { key, path })) => {
                    self.parts.push_back(key);
                    let error = TransferError::Unfit { path: path.clone(), unfit: Unfit::Part };
                    Some(Err(Omitted { path, error, in_tree: true }))
                }
                Ok(Some(PairStep::Omitted(omitted))) => Some(Err(omitted)),
                Ok(None) => return None,
                Err(error) => {
                    lock(&self.shared).error = Some(error);
                    return None;
                }
            };
            if let Some(found) = found {
                return Some(found);
            }
        }
    }
}

impl Differences {
    fn judge(
        &mut self,
        Pair { key, local, remote }: Pair,
    ) -> Option<Result<(Upload, TreeChangeKind), Omitted>> {
        let links = self.rules.walking.links;
        if let Some(entry) = &remote {
            let mut shared = lock(&self.shared);
            shared.files += usize::from(entry.kind != EntryKind::Directory);
            shared.extras.settle(&key);
            while self.parts.front().is_some_and(|part| *part < key) {
                self.parts.pop_front();
            }
        }
        let Some(local) = local else {
            let entry = remote?;
            let mut shared = lock(&self.shared);
            if entry.kind == EntryKind::Link && !links {
                shared.extras.protect(&key);
            } else if self.parts.front() == Some(&key) {
                if entry.kind == EntryKind::Directory {
                    self.pairs.skip_remote();
                }
            } else {
                let is_directory = entry.kind == EntryKind::Directory;
                shared.extras.add_if_room(&key, RemoteOnly::of(entry), is_directory);
            }
            return None;
        };
        let path = local.path.clone();
        let skipped = match &local.kind {
            LocalKind::Special => Some(Unfit::Special),
            LocalKind::Link { .. } if !links => Some(Unfit::Link),
            _ => None,
        };
        let omitted = |error| Some(Err(Omitted { path: path.clone(), error, in_tree: true }));
        let is_directory = matches!(local.kind, LocalKind::Directory { .. });
        let was_directory = remote.as_ref().is_some_and(|entry| entry.kind == EntryKind::Directory);
        if let Some(unfit) = skipped {
            if was_directory {
                self.pairs.skip_remote();
            }
            return omitted(TransferError::Unfit { path: path.clone(), unfit });
        }
        if remote.as_ref().is_some_and(|entry| entry.kind == EntryKind::Link && !links) {
            if is_directory {
                self.pairs.skip_local();
            }
            return omitted(TransferError::Unfit { path: path.clone(), unfit: Unfit::LinkStays });
        }
        let remote = match remote {
            Some(_) if is_directory != was_directory && self.rules.delete == DeletePolicy::No => {
                if was_directory {
                    self.pairs.skip_remote();
                } else {
                    self.pairs.skip_local();
                }
                return omitted(TransferError::Unfit { path: path.clone(), unfit: Unfit::OtherKind });
            }
            Some(entry) if is_directory != was_directory => {
                let number = lock(&self.shared).extras.add(&key, RemoteOnly::of(entry), was_directory);
                if was_directory {
                    let upload = self.rules.dry_run.then(|| self.upload(local, None)).transpose();
                    match upload {
                        Ok(upload) => {
                            lock(&self.shared).waiting.push(BlockedByRemote { number, path, upload });
                        }
                        Err(error) => return omitted(error),
                    }
                    return None;
                }
                if !self.rules.dry_run {
                    lock(&self.shared).in_the_way.push(number);
                    self.pairs.skip_local();
                    return None;
                }
                None
            }
            remote => remote,
        };
        match self.differs(&local, remote.as_ref()) {
            Ok(true) => {}
            Ok(false) => {
                if !is_directory {
                    lock(&self.shared).unchanged += 1;
                }
                return None;
            }
            Err(error) => return omitted(error),
        }
        match self.upload(local, remote.as_ref()) {
            Ok(upload) => Some(Ok(upload)),
            Err(error) => omitted(error),
        }
    }

    /// Whether there is anything to do about an entry.
    fn differs(
        &self,
        LocalEntry { path, kind, abilities, .. }: &LocalEntry,
        remote: Option<&Entry>,
    ) -> Result<bool, TransferError> {
        let Some(entry) = remote else { return Ok(true) };
        let same_time = |mtime| abilities.is_same_time(mtime, entry.mtime);
        match (kind, entry.kind) {
            (LocalKind::File { size, mtime, executable }, EntryKind::File) => {
                let same = mtime.is_some_and(same_time);
                if *size != entry.size || !same || executable.is_some_and(|is| is != entry.executable) {
                    return Ok(true);
                }
                Ok(self.rules.checksum && Some(digest(&self.tree, path, *size)?) != entry.sha256)
            }
            (LocalKind::Link { mtime }, EntryKind::Link) => {
                let target = self.tree.target(path)?;
                let same = mtime.is_none_or(same_time);
                Ok(!same || target.to_str() != entry.target.as_deref())
            }
            (LocalKind::Directory { mtime }, EntryKind::Directory) => {
                Ok(mtime.is_some_and(|mtime| !same_time(mtime)))
            }
            _ => Ok(true),
        }
    }

    fn upload(
        &mut self,
        local: LocalEntry,
        remote: Option<&Entry>,
    ) -> Result<(Upload, TreeChangeKind), TransferError> {
        let LocalEntry { path, kind, abilities, .. } = local;
        let to = self.target(&path)?;
        let (source, action) = match kind {
            LocalKind::Directory { mtime } => {
                (UploadSource::Directory { path, mtime }, TreeChangeKind::MakeDirectory)
            }
            LocalKind::Link { mtime } => {
                let target = self.tree.target(&path)?;
                let unfit = |_| TransferError::Unfit { path: path.clone(), unfit: Unfit::NotUtf8 };
                let target = target.into_os_string().into_string().map_err(unfit)?;
                (UploadSource::Link { path, target, mtime }, TreeChangeKind::Store)
            }
            LocalKind::File { .. } | LocalKind::Special => {
                let root = Arc::clone(&self.tree);
                // Where it cannot be told here, the server keeps what it has.
                let there = remote.is_some_and(|entry| entry.executable);
                let executable = (!abilities.executable).then_some(there);
                (UploadSource::Inside { root, path, executable }, TreeChangeKind::Store)
            }
        };
        let action = match (remote, action) {
            (None, action) => action,
            (Some(_), TreeChangeKind::MakeDirectory) => TreeChangeKind::Touch,
            (Some(_), _) => TreeChangeKind::Update,
        };
        if let Some(sha256) = remote.and_then(|entry| entry.sha256) {
            lock(&self.before).insert(self.next, sha256);
        }
        self.next += 1;
        Ok((Upload { id: self.next - 1, source, to, inside: None }, action))
    }

    /// Where a local file goes.
    fn target(&self, path: &Path) -> Result<EntryPath, TransferError> {
        let below = path.strip_prefix(self.pairs.root()).unwrap_or(path);
        let mut to = self.to.clone();
        for name in below.iter() {
            let unfit = || TransferError::Unfit { path: path.to_owned(), unfit: Unfit::NotUtf8 };
            to = to.join(name.to_str().ok_or_else(unfit)?)?;
        }
        Ok(to)
    }
}

/// Tells what would be uploaded. Returns the contents that the server has under other names.
fn tell_of<'a>(
    found: Vec<Result<(Upload, TreeChangeKind), Omitted>>,
    extras: &(impl Iterator<Item = &'a RemoteOnly> + Clone),
    tree: &TreeRoot,
    to: &EntryPath,
    rules: &SyncOptions,
    events: Events<'_>,
) -> Vec<Digest> {
    let mut had = Vec::new();
    for found in found {
        let (upload, action) = match found {
            Ok(found) => found,
            Err(omitted) => {
                events(Event::Omitted(omitted));
                continue;
            }
        };
        let size = match &upload.source {
            UploadSource::Inside { path, .. } => {
                path.symlink_metadata().ok().map(|found| (path, found.len()))
            }
            _ => None,
        };
        let mut candidates = Vec::new();
        if let Some((_, size)) = size {
            candidates.extend(extras.clone().filter(|extra| extra.size == size && size > 0));
        }
        let known = size.filter(|_| !candidates.is_empty());
        let known = known.and_then(|(path, size)| digest(tree, path, size).ok());
        let from = known.and_then(|known| candidates.into_iter().find(|extra| extra.sha256 == Some(known)));
        let from = from.and_then(|extra| {
            had.extend(extra.sha256);
            to.join(&extra.below).ok()
        });
        let action = match (&from, rules.delete) {
            (None, _) => action,
            (Some(_), DeletePolicy::No) => TreeChangeKind::Copy,
            (Some(_), _) => TreeChangeKind::Move,
        };
        let is_directory = matches!(upload.source, UploadSource::Directory { .. });
        let place = if is_directory { as_directory(&upload.to) } else { upload.to };
        events(Event::Changed(TreeChange {
            action,
            place: EitherPath::Remote(place),
            from: from.map(EitherPath::Remote),
            size: size.map(|(_, size)| size),
            dry_run: true,
        }));
    }
    had
}

/// Deletes what only the server has, as far as it is what was listed. Returns how much, and what was not.
async fn delete(
    client: &mut Client,
    to: &EntryPath,
    extras: &Extras<RemoteOnly>,
    dry_run: bool,
    events: Events<'_>,
) -> Result<(usize, LeftEntry), TransferError> {
    let mut doomed = Vec::new();
    for (_, extra) in extras.doomed() {
        doomed.push((to.join(&extra.entry.below)?, extra));
    }
    let mut left = LeftEntry::default();
    extras.going.iter().filter(|extra| extra.stays).for_each(|extra| left.add(Path::new(&extra.entry.below)));
    let deleted = |(path, extra): &(EntryPath, &Extra<RemoteOnly>)| {
        let place = EitherPath::Remote(if extra.is_directory { as_directory(path) } else { path.clone() });
        let change = TreeChange { action: TreeChangeKind::Delete, place, from: None, size: None, dry_run };
        events(Event::Changed(change));
    };
    if dry_run {
        doomed.iter().for_each(deleted);
        return Ok((doomed.len(), left));
    }
    let (mut count, mut next) = (0, 0);
    let mut retry = AttemptCounter::new(client.retries());
    while next < doomed.len() {
        let before = next;
        let each = |number: usize, removed: Result<(), WireError>| {
            next = before + number + 1;
            let (path, extra) = &doomed[before + number];
            let below = Path::new(&extra.entry.below);
            let Err(error) = removed else {
                count += 1;
                return deleted(&doomed[before + number]);
            };
            if error.code == ErrorCode::NotFound {
                return;
            }
            // What is in a directory was told of already, unless it came meanwhile.
            let is_known = error.code == ErrorCode::IsADirectory && left.has(below);
            left.add(below);
            if !is_known {
                let error = match error.code {
                    ErrorCode::Changed | ErrorCode::IsADirectory => {
                        TransferError::Meanwhile { path: path.to_string() }
                    }
                    _ => error.into(),
                };
                let path = PathBuf::from(path.to_string());
                events(Event::Omitted(Omitted { path, error, in_tree: true }));
            }
        };
        let batch = doomed[before..].iter().take(BATCH);
        let batch = batch.map(|(path, extra)| (path.clone(), extra.entry.etag.clone()));
        let removed = match client.connection().await {
            Ok(connection) => remote::remove_unchanged(connection, batch, each).await,
            Err(error) => Err(error),
        };
        if let Err(error) = removed {
            retry.pause(error, next as u64, events).await?;
        }
    }
    Ok((count, left))
}

/// The path with the slash that tells a person what it is.
fn as_directory(path: &EntryPath) -> EntryPath {
    if path.means_directory() { path.clone() } else { format!("{path}/").parse().unwrap_or(path.clone()) }
}
