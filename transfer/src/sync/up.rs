//! A local tree onto the server.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use sealift_protocol::message::{Description, Entry, EntryKind};
use sealift_protocol::{Digest, ErrorCode, RemotePath, WireError};
use tokio::task::spawn_blocking;

use super::extras::{ExtraFile, Extras};
use super::listing::{self, Listed};
use super::pairs::{Pair, Pairs, Step};
use super::walk::{Kind, Local};
use super::{Delete, Outcome, Rules, Watch, Withheld, describe, digest, lock, same_time};
use crate::client::Client;
use crate::error::{Error, Unfit};
use crate::event::{Action, Change, Event, Events, Place};
use crate::local;
use crate::manner::Manner;
use crate::remote;
use crate::retry::Retry;
use crate::tree::Omitted;
use crate::upload::{Source, Upload, upload};

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
    to: &RemotePath,
    rules: &Rules,
    events: Events<'_>,
) -> Result<Outcome, Error> {
    let metadata = from.metadata().map_err(Error::local("read", from))?;
    if !metadata.is_dir() {
        return Err(Error::Unfit { path: from.to_owned(), unfit: Unfit::NeedsDirectory });
    }
    let (outcome, again) = pass(client, from, to, rules, events).await?;
    if !again {
        return Ok(outcome);
    }
    // What stood in the way of something of another kind is gone now.
    let (later, _) = pass(client, from, to, rules, events).await?;
    Ok(outcome.and(&later))
}

/// One comparison and what follows from it. Returns whether another one would find more to do.
async fn pass(
    client: &mut Client,
    from: &Path,
    to: &RemotePath,
    rules: &Rules,
    events: Events<'_>,
) -> Result<(Outcome, bool), Error> {
    let before = super::Before::default();
    let watch = Watch::new(events, Arc::clone(&before));
    let take = |event| watch.take(event);
    let there = describe(client, to).await?;
    let (tell, listed) = match &there {
        Some(_) => {
            let (tell, listed) = listing::channel();
            (Some(tell), listed)
        }
        None => (None, Listed::empty()),
    };
    let shared = Arc::new(Mutex::new(Shared::default()));
    let found = Differences {
        root: root(from, to, there.as_ref()),
        exists: there.is_some(),
        pairs: Pairs::new(from, listed, &rules.walking.filter, false),
        to: to.clone(),
        rules: rules.clone(),
        shared: Arc::clone(&shared),
        before,
        next: 0,
    };
    let other = client.another();
    let listing = async {
        if let Some(tell) = tell {
            listing::list(other, to, tell, &take).await;
        }
        Ok(())
    };
    let mut pretended = Vec::new();
    if rules.pretend {
        let collecting = async {
            let collected = spawn_blocking(move || found.collect::<Vec<_>>()).await;
            pretended = collected.map_err(|panic| Error::Local {
                action: "read",
                path: from.to_owned(),
                source: std::io::Error::other(panic),
            })?;
            Ok(())
        };
        tokio::try_join!(listing, collecting)?;
    } else {
        let manner = Manner { ask_first: true, ..Manner::default() };
        let found = found.map(|found| found.map(|(upload, _)| upload));
        tokio::try_join!(listing, upload(client, found, manner, &take))?;
    }
    let mut shared = std::mem::take(&mut *lock(&shared));
    if let Some(error) = shared.error {
        return Err(error);
    }
    shared.extras.settle("");
    let mut outcome = Outcome { unchanged: shared.unchanged, ..Outcome::default() };
    let mut had = Vec::new();
    if rules.pretend {
        had = tell_of(pretended, &shared.extras.files, to, rules, &take);
        outcome.moved = had.len();
    } else {
        outcome.moved = watch.moved.load(Ordering::Relaxed);
        outcome.touched = watch.touched.load(Ordering::Relaxed);
    }
    let going = &shared.extras.files;
    let going = going.iter().filter(|extra| {
        let digest = extra.sha256.as_ref();
        !digest.is_some_and(|digest| watch.has(digest) || had.contains(digest))
    });
    let going = going.count();
    if rules.delete == Delete::No || shared.extras.going.is_empty() {
        return Ok((outcome, false));
    }
    outcome.withheld = rules.judge(going, shared.files);
    if watch.failed() {
        outcome.withheld = Some(Withheld::Failures);
    }
    if outcome.withheld.is_none() {
        let doomed = shared.extras.going.iter().filter(|extra| !extra.stays).map(|extra| {
            let path = to.join(&extra.below)?;
            Ok((path, extra.is_directory))
        });
        let doomed: Vec<_> = doomed.collect::<Result<_, Error>>()?;
        outcome.deleted = delete(client, &doomed, rules.pretend, &take).await?;
    }
    let again = shared.replaced && outcome.withheld.is_none() && !rules.pretend;
    Ok((outcome, again))
}

/// The directory itself, unless it is as it should be.
fn root(from: &Path, to: &RemotePath, there: Option<&Description>) -> Option<Upload> {
    let mtime = from.metadata().ok().and_then(|metadata| local::mtime(&metadata));
    match there {
        Some(description) if description.kind == EntryKind::Space => return None,
        Some(description) if mtime.is_none_or(|mtime| same_time(mtime, description.mtime)) => return None,
        _ => {}
    }
    let source = Source::Directory { path: from.to_owned(), mtime };
    Some(Upload { id: 0, source, to: to.clone(), inside: None })
}

/// What the comparison finds out beside what is to be uploaded.
#[derive(Debug, Default)]
struct Shared {
    unchanged: usize,
    /// Files and links in the destination.
    files: usize,
    extras: Extras,
    /// Whether something has to go before something of another kind can take its place.
    replaced: bool,
    /// Why the comparison ended too early.
    error: Option<Error>,
}

/// What is to be uploaded, found while it is asked for. Blocks.
struct Differences {
    root: Option<Upload>,
    /// Whether the destination is there.
    exists: bool,
    pairs: Pairs,
    to: RemotePath,
    rules: Rules,
    shared: Arc<Mutex<Shared>>,
    before: super::Before,
    next: usize,
}

impl Iterator for Differences {
    type Item = Result<(Upload, Action), Omitted>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(root) = self.root.take() {
            self.next = 1;
            let action = if self.exists { Action::Touch } else { Action::MakeDirectory };
            return Some(Ok((root, action)));
        }
        loop {
            let found = match self.pairs.next() {
                Ok(Some(Step::Pair(pair))) => self.judge(pair),
                Ok(Some(Step::LeftOut(key))) => {
                    lock(&self.shared).extras.protect(&key);
                    None
                }
                Ok(Some(Step::Omitted(omitted))) => Some(Err(omitted)),
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
    fn judge(&mut self, Pair { key, local, remote }: Pair) -> Option<Result<(Upload, Action), Omitted>> {
        let links = self.rules.walking.links;
        if let Some(entry) = &remote {
            let mut shared = lock(&self.shared);
            shared.files += usize::from(entry.kind != EntryKind::Directory);
            shared.extras.settle(&key);
        }
        let Some(local) = local else {
            let entry = remote?;
            let mut shared = lock(&self.shared);
            if entry.kind == EntryKind::Link && !links {
                shared.extras.protect(&key);
            } else {
                shared.extras.add(&key, entry);
            }
            return None;
        };
        let path = local.path.clone();
        let skipped = match &local.kind {
            Kind::Special => Some(Unfit::Special),
            Kind::Link { .. } if !links => Some(Unfit::Link),
            _ => None,
        };
        let omitted = |error| Some(Err(Omitted { path: path.clone(), error, in_tree: true }));
        let is_directory = matches!(local.kind, Kind::Directory { .. });
        let was_directory = remote.as_ref().is_some_and(|entry| entry.kind == EntryKind::Directory);
        if let Some(unfit) = skipped {
            if was_directory {
                self.pairs.skip_remote();
            }
            return omitted(Error::Unfit { path: path.clone(), unfit });
        }
        let remote = match remote {
            Some(entry) if is_directory != was_directory => {
                let links_stay = entry.kind == EntryKind::Link && !links;
                if self.rules.delete == Delete::No || links_stay {
                    if was_directory {
                        self.pairs.skip_remote();
                    } else {
                        self.pairs.skip_local();
                    }
                    return omitted(Error::Unfit { path: path.clone(), unfit: Unfit::OtherKind });
                }
                let mut shared = lock(&self.shared);
                shared.replaced = true;
                shared.extras.add(&key, entry);
                if !self.rules.pretend {
                    drop(shared);
                    if is_directory {
                        self.pairs.skip_local();
                    }
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
    fn differs(&self, Local { path, kind }: &Local, remote: Option<&Entry>) -> Result<bool, Error> {
        let Some(entry) = remote else { return Ok(true) };
        match (kind, entry.kind) {
            (Kind::File { size, mtime, executable }, EntryKind::File) => {
                let same = mtime.is_some_and(|mtime| same_time(mtime, entry.mtime));
                if *size != entry.size || !same || *executable != entry.executable {
                    return Ok(true);
                }
                Ok(self.rules.checksum && Some(digest(path, *size)?) != entry.sha256)
            }
            (Kind::Link { mtime }, EntryKind::Link) => {
                let target = std::fs::read_link(path).map_err(Error::local("read", path))?;
                let same = mtime.is_none_or(|mtime| same_time(mtime, entry.mtime));
                Ok(!same || target.to_str() != entry.target.as_deref())
            }
            (Kind::Directory { mtime }, EntryKind::Directory) => {
                Ok(mtime.is_some_and(|mtime| !same_time(mtime, entry.mtime)))
            }
            _ => Ok(true),
        }
    }

    fn upload(&mut self, local: Local, remote: Option<&Entry>) -> Result<(Upload, Action), Error> {
        let Local { path, kind } = local;
        let to = self.target(&path)?;
        let (source, action) = match kind {
            Kind::Directory { mtime } => (Source::Directory { path, mtime }, Action::MakeDirectory),
            Kind::Link { mtime } => {
                let target = std::fs::read_link(&path).map_err(Error::local("read", &path))?;
                let unfit = |_| Error::Unfit { path: path.clone(), unfit: Unfit::NotUtf8 };
                let target = target.into_os_string().into_string().map_err(unfit)?;
                (Source::Link { path, target, mtime }, Action::Store)
            }
            Kind::File { .. } | Kind::Special => (Source::File(path), Action::Store),
        };
        let action = match (remote, action) {
            (None, action) => action,
            (Some(_), Action::MakeDirectory) => Action::Touch,
            (Some(_), _) => Action::Update,
        };
        if let Some(sha256) = remote.and_then(|entry| entry.sha256) {
            lock(&self.before).insert(self.next, sha256);
        }
        self.next += 1;
        Ok((Upload { id: self.next - 1, source, to, inside: None }, action))
    }

    /// Where a local file goes.
    fn target(&self, path: &Path) -> Result<RemotePath, Error> {
        let below = path.strip_prefix(self.pairs.root()).unwrap_or(path);
        let mut to = self.to.clone();
        for name in below.iter() {
            let unfit = || Error::Unfit { path: path.to_owned(), unfit: Unfit::NotUtf8 };
            to = to.join(name.to_str().ok_or_else(unfit)?)?;
        }
        Ok(to)
    }
}

/// Tells what would be uploaded. Returns the contents that the server has under other names.
fn tell_of(
    found: Vec<Result<(Upload, Action), Omitted>>,
    extras: &[ExtraFile],
    to: &RemotePath,
    rules: &Rules,
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
            Source::File(path) => path.metadata().ok().map(|metadata| (path, metadata.len())),
            _ => None,
        };
        let mut candidates = Vec::new();
        if let Some((_, size)) = size {
            candidates.extend(extras.iter().filter(|extra| extra.size == size && size > 0));
        }
        let known = size.filter(|_| !candidates.is_empty()).and_then(|(path, size)| digest(path, size).ok());
        let from = known.and_then(|known| candidates.into_iter().find(|extra| extra.sha256 == Some(known)));
        let from = from.and_then(|extra| {
            had.extend(extra.sha256);
            to.join(&extra.below).ok()
        });
        let action = match (&from, rules.delete) {
            (None, _) => action,
            (Some(_), Delete::No) => Action::Copy,
            (Some(_), _) => Action::Move,
        };
        let is_directory = matches!(upload.source, Source::Directory { .. });
        let place = if is_directory { as_directory(&upload.to) } else { upload.to };
        events(Event::Changed(Change {
            action,
            place: Place::Remote(place),
            from: from.map(Place::Remote),
            size: size.map(|(_, size)| size),
            pretended: true,
        }));
    }
    had
}

/// Deletes what only the server has. Returns how much.
async fn delete(
    client: &mut Client,
    doomed: &[(RemotePath, bool)],
    pretend: bool,
    events: Events<'_>,
) -> Result<usize, Error> {
    let deleted = |(path, is_directory): &(RemotePath, bool)| {
        let place = if *is_directory { as_directory(path) } else { path.clone() };
        let place = Place::Remote(place);
        events(Event::Changed(Change {
            action: Action::Delete,
            place,
            from: None,
            size: None,
            pretended: pretend,
        }));
    };
    if pretend {
        doomed.iter().for_each(deleted);
        return Ok(doomed.len());
    }
    let mut count = 0;
    let mut retry = Retry::new(client.retries());
    for recursive in [true, false] {
        let doomed: Vec<_> = doomed.iter().filter(|(_, is_directory)| *is_directory == recursive).collect();
        let mut next = 0;
        while next < doomed.len() {
            let paths: Vec<_> = doomed[next..].iter().take(BATCH).map(|(path, _)| path.clone()).collect();
            let before = next;
            let each = |number: usize, removed: Result<(), WireError>| {
                next = before + number + 1;
                match removed {
                    Err(error) if error.code != ErrorCode::NotFound => {
                        let path = PathBuf::from(paths[number].to_string());
                        events(Event::Omitted(Omitted { path, error: error.into(), in_tree: true }));
                    }
                    _ => {
                        count += 1;
                        deleted(doomed[before + number]);
                    }
                }
            };
            let removed = match client.connection().await {
                Ok(connection) => remote::remove(connection, &paths, recursive, each).await,
                Err(error) => Err(error),
            };
            if let Err(error) = removed {
                retry.pause(error, next as u64, events).await?;
            }
        }
    }
    Ok(count)
}

/// The path with the slash that tells a person what it is.
fn as_directory(path: &RemotePath) -> RemotePath {
    if path.means_directory() { path.clone() } else { format!("{path}/").parse().unwrap_or(path.clone()) }
}
