//! The engine's main loop: it takes commands, runs the queue's jobs, and saves the queue.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sealift_protocol::message::Direction;
use sealift_transfer::download::{Destination, Download, download};
use sealift_transfer::leftovers::{self, Leftovers};
use sealift_transfer::tree::{Omitted, WalkOptions};
use sealift_transfer::upload::{Upload, UploadSource, upload};
use sealift_transfer::{Event, Remedy, TransferError, TransferOptions, plan};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_local};

use super::context::EngineContext;
use super::control;
use super::messages::{EngineCommand, EngineUpdate};
use crate::model::Numbers;
use crate::model::queue::{Job, Spec, State, Totals, Trouble};
use crate::store::QueueFile;
use crate::texts;

/// Work that took less is not worth a notification to somebody who looks elsewhere.
const LONG: Duration = Duration::from_secs(10);

/// How long it is waited before what downloads left is removed, each time: one that has just been stopped may hold its file
/// for a moment.
const REMOVING: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

/// How long changes of the queue are collected before it is saved.
const SAVING: Duration = Duration::from_millis(700);

/// Takes commands and runs jobs until nobody sends commands any more.
pub(super) async fn run(
    shared: Arc<EngineContext>,
    mut commands: mpsc::UnboundedReceiver<EngineCommand>,
    file: Option<QueueFile>,
) {
    #[cfg(all(unix, not(target_os = "macos")))]
    let appearance = spawn_local(super::appearance::watch(shared.clone()));
    let saving = spawn_local(save(shared.clone(), file.clone()));
    let mut jobs: HashMap<u64, JoinHandle<()>> = HashMap::new();
    let mut work = Work::default();
    loop {
        let mut stopped = Vec::new();
        for id in shared.queue().take_stops() {
            if let Some(job) = jobs.remove(&id) {
                // What was under way is closed; the other side keeps what it has.
                job.abort();
                stopped.push(job);
            }
        }
        let given_up = shared.queue().take_given_up();
        if !given_up.is_empty() {
            spawn_local(discard(shared.clone(), stopped, given_up));
        }
        jobs.retain(|_, job| !job.is_finished());
        loop {
            let Some(job) = shared.queue().take_job(jobs.len()) else { break };
            work.begin(&shared);
            let id = job.id;
            jobs.insert(id, spawn_local(transfer(shared.clone(), job)));
        }
        work.look(&shared, jobs.is_empty());
        tokio::select! {
            command = commands.recv() => match command {
                Some(EngineCommand::Stir) => shared.dirty.notify_one(),
                Some(command) => { spawn_local(control::obey(shared.clone(), command)); }
                None => break,
            },
            () = shared.stirred.notified() => {}
        }
    }
    for job in jobs.into_values() {
        job.abort();
        // Its connections are closed when it is gone.
        let _ = job.await;
    }
    #[cfg(all(unix, not(target_os = "macos")))]
    appearance.abort();
    saving.abort();
    let _ = saving.await;
    if let Some(file) = file {
        // Nobody is there to be told; what was saved last is still there.
        let _ = file.save(&shared.queue().saved());
    }
}

/// A stretch of work, from the first job to the last.
#[derive(Debug, Default)]
struct Work {
    since: Option<(Instant, Totals)>,
    told: Option<(Instant, [usize; 2])>,
}

impl Work {
    fn begin(&mut self, shared: &EngineContext) {
        if self.since.is_none() {
            let totals = shared.queue().totals();
            self.since = Some((Instant::now(), totals));
        }
    }

    /// Tells what has become of it, when it is over.
    fn look(&mut self, shared: &EngineContext, is_idle: bool) {
        /// A directory is not listed again for each of a hundred thousand files.
        const REFRESH: Duration = Duration::from_secs(2);
        let Some((since, before)) = self.since else { return };
        let after = shared.queue().totals();
        let due = self.told.is_none_or(|(at, _)| at.elapsed() > REFRESH);
        let news = [after.done, after.failed];
        if (is_idle || due) && self.told.is_none_or(|(_, told)| told != news) {
            self.told = Some((Instant::now(), news));
            shared.tell(EngineUpdate::Stored);
        }
        if is_idle {
            self.since = None;
            let text = texts::work_is_done(before, after);
            if since.elapsed() >= LONG && !shared.attended.load(std::sync::atomic::Ordering::Relaxed) {
                let summary = text.clone();
                // A system without notifications has none to show; the window says the same.
                tokio::task::spawn_blocking(move || {
                    let _ = notify_rust::Notification::new()
                        .appname(texts::NAME)
                        .summary(texts::NAME)
                        .body(&summary)
                        .icon("sealift-gui")
                        .show();
                });
            }
            if after.failed > before.failed {
                shared.tell(EngineUpdate::Failed(Trouble { message: text, mend: Remedy::Person }));
            } else if !text.is_empty() {
                shared.tell(EngineUpdate::Did { text, undo: None, touched: false });
            }
        }
    }
}

/// Removes what has arrived of downloads that nobody goes on with, when the jobs that were at them have ended.
async fn discard(shared: Arc<EngineContext>, stopped: Vec<JoinHandle<()>>, mut given_up: Vec<Arc<Spec>>) {
    for job in stopped {
        let _ = job.await;
    }
    for pause in REMOVING {
        tokio::time::sleep(pause).await;
        given_up = shared.queue().unwanted(given_up);
        let going = given_up.clone();
        let removing = tokio::task::spawn_blocking(move || going.iter().for_each(|spec| remove_parts(spec)));
        let _ = removing.await;
    }
}

/// Removes what has arrived of a download, unless somebody writes it. Blocks.
fn remove_parts(spec: &Spec) {
    let found: Vec<_> = match spec.tree {
        true => Leftovers::below(spec.local.clone()).filter_map(Result::ok).collect(),
        false => leftovers::of_file(&spec.local),
    };
    for leftover in found {
        // What cannot be removed is in nobody's way; `sealift clean` names it.
        let _ = leftover.remove();
    }
}

/// Does a job, and tells the queue how it goes.
async fn transfer(shared: Arc<EngineContext>, job: Job) {
    let numbers = Numbers::of(&job);
    let events = |event: Event| {
        shared.queue().take(&job, &numbers, event, Instant::now());
        shared.waker.soon();
    };
    let result = async {
        let mut client = shared.client(&job.profile)?;
        let manner = TransferOptions::default();
        match job.direction {
            Direction::Put => upload(&mut client, uploads(&job), manner, &events).await?,
            Direction::Get => {
                download(&mut client, downloads(&job), &WalkOptions::default(), manner, &events).await?;
            }
        }
        shared.give_back(&job.profile, client);
        Ok::<(), TransferError>(())
    };
    let error = result.await.err().map(|error| (Trouble::from(&error), error.kind().concerns_all()));
    shared.queue().job_ended(&job, error);
    open(&shared, &job);
    shared.waker.soon();
    shared.dirty.notify_one();
    shared.stirred.notify_one();
}

/// Opens what a job has fetched to be opened.
fn open(shared: &Arc<EngineContext>, job: &Job) {
    for (id, spec) in &job.items {
        let is_done = shared.queue().item(*id).is_some_and(|item| item.state == State::Done);
        if is_done && spec.direction == Direction::Get && spec.local.starts_with(&shared.opening.directory) {
            let (shared, spec) = (shared.clone(), spec.clone());
            spawn_local(async move {
                let opened = shared.opening.open(spec.local.clone()).await;
                if let Err(reason) = opened {
                    shared.tell(EngineUpdate::Failed(texts::not_opened(spec.name(), &reason)));
                }
            });
        }
    }
}

/// What a job uploads, found while it is asked for.
fn uploads(job: &Job) -> impl Iterator<Item = Result<Upload, Omitted>> + Send + 'static {
    let specs: Vec<_> = job.items.iter().map(|(_, spec)| spec.clone()).collect();
    specs.into_iter().enumerate().flat_map(|(id, spec)| {
        let found: Box<dyn Iterator<Item = _> + Send> = if spec.tree {
            // With a slash behind it, what is in it goes to where it is to be.
            let source: PathBuf = spec.local.join("");
            match plan::uploads([source], Some(&spec.remote), &WalkOptions::default()) {
                Ok(uploads) => Box::new(uploads),
                // Only the list of spaces is no place for a directory, and nobody can choose that.
                Err(_) => Box::new(std::iter::empty()),
            }
        } else {
            let source = UploadSource::File(spec.local.clone());
            Box::new(std::iter::once(Ok(Upload { id, source, to: spec.remote.clone(), inside: None })))
        };
        found
    })
}

fn downloads(job: &Job) -> Vec<Download> {
    let download = |spec: &crate::model::queue::Spec| Download {
        from: spec.remote.clone(),
        to: Destination::File { path: spec.local.clone(), make_directory: true },
        tree: spec.tree.then(|| spec.local.clone()),
    };
    job.items.iter().map(|(_, spec)| download(spec)).collect()
}

/// Saves the queue whenever it has changed, with a pause between.
async fn save(shared: Arc<EngineContext>, file: Option<QueueFile>) {
    let Some(file) = file else { return };
    let mut saved = shared.queue().version();
    loop {
        shared.dirty.notified().await;
        if shared.queue().version() == saved {
            continue;
        }
        tokio::time::sleep(SAVING).await;
        let (version, items) = {
            let queue = shared.queue();
            (queue.version(), queue.saved())
        };
        let (begun, writer) = (Instant::now(), file.clone());
        let written = tokio::task::spawn_blocking(move || writer.save(&items)).await;
        saved = version;
        if let Ok(Err(error)) = written {
            let path = file.path().to_owned();
            shared.tell(EngineUpdate::Failed(Trouble::from(&TransferError::Local {
                action: "save the queue in",
                path,
                source: error,
            })));
        }
        // A long queue is not saved all the time.
        tokio::time::sleep(begun.elapsed() * 20).await;
    }
}
