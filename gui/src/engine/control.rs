//! Commands that move no contents.

use std::sync::Arc;
use std::time::SystemTime;

use sealift_protocol::message::{EntryKind, List};
use sealift_protocol::{Name, RemotePath, WireError};
use sealift_transfer::remote::{self, LogFilter};
use sealift_transfer::{Client, Error, Kind};

use super::{Command, Preview, Shared, Update, infos, names, preview, profiles, relocate};
use crate::model::Undo;
use crate::model::queue::Trouble;
use crate::texts;

/// Does what a command says, and tells what comes of it.
pub(super) async fn obey(shared: Arc<Shared>, command: Command) {
    match command {
        Command::Join { token, name, again } => profiles::join(&shared, &token, &name, again).await,
        Command::RemoveProfile(name) => profiles::remove(&shared, name),
        Command::RenameProfile { from, to } => profiles::rename(&shared, from, to),
        Command::Connect(profile) => {
            let connected = connect(&shared, &profile).await;
            // The command line may have changed them, too.
            shared.tell(Update::Profiles(infos(&shared.profiles)));
            shared.tell(match connected {
                Ok(account) => Update::Connected { profile, account },
                Err(error) => Update::NotConnected { profile, trouble: Trouble::from(&error) },
            });
        }
        Command::List { profile, path, generation } => {
            let result = list(&shared, &profile, path, generation).await;
            if let Err(error) = &result
                && error.kind() == Kind::Connection
            {
                shared.tell(Update::NotConnected { profile, trouble: Trouble::from(error) });
            }
            let result = result.map_err(|error| Trouble::from(&error));
            shared.tell(Update::Listed { generation, result });
        }
        Command::Describe { profile, path, generation } => {
            describe(&shared, &profile, path, generation).await;
        }
        Command::Log { profile, filter, generation } => {
            let result = log(&shared, &profile, filter, generation).await;
            shared.tell(Update::LogEnd { generation, result: result.map_err(|error| Trouble::from(&error)) });
        }
        Command::MakeFolder { profile, path } => {
            let made = change(&shared, &profile, async |client| {
                remote::make_new_directory(client.connection().await?, path.clone()).await
            });
            shared.tell(match made.await {
                Ok(etag) => did(texts::made_folder(&path), Some(Undo::RemoveFolder { profile, path, etag })),
                Err(error) => Update::Failed(Trouble::from(&error)),
            });
        }
        Command::Relocate { profile, pairs, copy, how } => {
            relocate::relocate(&shared, &profile, pairs, copy, how).await;
        }
        Command::RemoveFolder { profile, path, etag } => {
            let removed = change(&shared, &profile, async |client| {
                remote::remove_if(client.connection().await?, path.clone(), etag.clone()).await
            });
            shared.tell(match removed.await {
                Ok(()) => did(texts::deleted(std::slice::from_ref(&path), 1), None),
                Err(error) => Update::Failed(Trouble::from(&error)),
            });
        }
        Command::Delete { profile, paths } => shared.tell(delete(&shared, &profile, paths).await),
        Command::Renew(profile) => {
            let renewed = change(&shared, &profile, async |client| client.renew().await);
            let update = match renewed.await {
                Ok(_) => Update::Did { text: texts::RENEWED.into(), undo: None, touched: false },
                Err(error) => Update::Failed(Trouble::from(&error)),
            };
            shared.forget_clients(&profile);
            shared.tell(Update::Profiles(infos(&shared.profiles)));
            shared.tell(update);
        }
        Command::PlanUploads { profile, paths, to } => names::uploads(&shared, &profile, paths, &to).await,
        Command::PlanDownloads { profile, entries, to, instead } => {
            names::downloads(&shared, &profile, entries, to, instead).await;
        }
        // The main loop's own business.
        Command::Stir => {}
    }
}

pub(super) fn did(text: String, undo: Option<Undo>) -> Update {
    Update::Did { text, undo, touched: true }
}

/// Lends a client of the profile for work that only reads. If the connection that it had turned out to be stale before
/// anything was `answered`, the work begins again with another one.
pub(super) async fn read<T>(
    shared: &Shared,
    profile: &Name,
    mut work: impl AsyncFnMut(&mut Client, &mut bool) -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        let mut client = shared.client(profile)?;
        let was_connected = client.is_connected();
        let mut answered = false;
        match work(&mut client, &mut answered).await {
            Err(error) if was_connected && !answered && is_stale(&error) => {}
            result => {
                shared.give_back(profile, client);
                return result;
            }
        }
    }
}

/// Lends a client of the profile for work that changes something. The work is never repeated, because a server that is
/// lost may have done it. A connection that was idle is tried first with a request that changes nothing.
pub(super) async fn change<T>(
    shared: &Shared,
    profile: &Name,
    work: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut client = ready(shared, profile).await?;
    let result = work(&mut client).await;
    shared.give_back(profile, client);
    result
}

/// A client of which the connection is either good or not made yet.
async fn ready(shared: &Shared, profile: &Name) -> Result<Client, Error> {
    loop {
        let mut client = shared.client(profile)?;
        if !client.is_connected() {
            return Ok(client);
        }
        match remote::whoami(client.connection().await?).await {
            Ok(_) => return Ok(client),
            Err(error) if is_stale(&error) => {}
            Err(error) => {
                shared.give_back(profile, client);
                return Err(error);
            }
        }
    }
}

/// True if the connection was of no use any more: a server closes connections that nobody uses.
fn is_stale(error: &Error) -> bool {
    match error {
        Error::Lost(_) => true,
        Error::Refused(error) => error.retry,
        _ => false,
    }
}

async fn connect(shared: &Shared, profile: &Name) -> Result<sealift_protocol::message::Account, Error> {
    // Whoever asks for it wants to know how it is now.
    shared.forget_clients(profile);
    let mut client = shared.client(profile)?;
    let account = remote::whoami(client.connection().await?).await?;
    if client.should_renew(SystemTime::now()) {
        // One that is not renewed today is renewed tomorrow; when it is expired, the connection says so.
        let _ = client.renew().await;
    }
    shared.give_back(profile, client);
    Ok(account)
}

async fn list(shared: &Shared, profile: &Name, path: RemotePath, generation: u64) -> Result<(), Error> {
    let wanted = List::of(path);
    read(shared, profile, async |client, answered| {
        let mut listing = remote::list(client.connection().await?, wanted.clone()).await?;
        while let Some(entries) = listing.page().await? {
            *answered = true;
            // The window looks at them when it is drawn next.
            let _ = shared.updates.send(Update::Page { generation, entries });
            shared.waker.soon();
        }
        Ok(())
    })
    .await
}

async fn describe(shared: &Shared, profile: &Name, path: RemotePath, generation: u64) {
    let described = read(shared, profile, async |client, _| {
        let mut found = None;
        let paths = std::slice::from_ref(&path);
        remote::info(client.connection().await?, paths, |_, answer| found = Some(answer)).await?;
        match found {
            Some(answer) => Ok(answer?),
            None => Err(Error::Protocol("no answer came".into())),
        }
    });
    let result = described.await;
    let file = result.as_ref().ok().filter(|described| described.kind == EntryKind::File).cloned();
    let result = result.map_err(|error| Trouble::from(&error));
    shared.tell(Update::Described { generation, result });
    if let Some(description) = file {
        let preview = match preview::kind(&description) {
            None => Preview::Nothing,
            Some(kind) => {
                preview::fetch(shared, profile, &description, kind).await.unwrap_or(Preview::Nothing)
            }
        };
        shared.tell(Update::Previewed { generation, preview });
    }
}

async fn log(shared: &Shared, profile: &Name, filter: LogFilter, generation: u64) -> Result<(), Error> {
    read(shared, profile, async |client, answered| {
        let mut log = remote::log(client.connection().await?, filter.clone());
        while let Some(records) = log.page().await? {
            *answered = true;
            shared.tell(Update::LogPage { generation, records });
        }
        Ok(())
    })
    .await
}

async fn delete(shared: &Shared, profile: &Name, paths: Vec<RemotePath>) -> Update {
    let mut gone = 0;
    let mut first: Option<WireError> = None;
    let deleted = change(shared, profile, async |client| {
        let connection = client.connection().await?;
        remote::remove(connection, &paths, true, |_, answer| match answer {
            Ok(()) => gone += 1,
            Err(error) => {
                first.get_or_insert(error);
            }
        })
        .await
    });
    let result = deleted.await;
    match (result, first) {
        (Err(error), _) => Update::Failed(Trouble::from(&error)),
        (Ok(()), Some(error)) => Update::Failed(Trouble::from(&Error::from(error))),
        (Ok(()), None) => did(texts::deleted(&paths, gone), None),
    }
}
