//! Commands that move no contents.

use std::sync::Arc;
use std::time::SystemTime;

use sealift_protocol::WireError;
use sealift_protocol::message::{EntryKind, List};
use sealift_transfer::remote::{self, LogFilter};
use sealift_transfer::{FailureKind, TransferError};
use sealift_types::{EntryPath, Name};

use super::context::EngineContext;
use super::messages::{EngineCommand, EngineUpdate, Preview};
use super::profiles::infos;
use super::requests::{change, did, read};
use super::{names, preview, profiles, relocate};
use crate::model::Undo;
use crate::model::queue::Trouble;
use crate::texts;

/// Does what a command says, and tells what comes of it.
pub(super) async fn obey(shared: Arc<EngineContext>, command: EngineCommand) {
    match command {
        EngineCommand::Join { token, name, again } => profiles::join(&shared, &token, &name, again).await,
        EngineCommand::RemoveProfile(name) => profiles::remove(&shared, name),
        EngineCommand::RenameProfile { from, to } => profiles::rename(&shared, from, to),
        EngineCommand::Connect(profile) => {
            let connected = connect(&shared, &profile).await;
            // The command line may have changed them, too.
            shared.tell(EngineUpdate::Profiles(infos(&shared.profiles)));
            shared.tell(match connected {
                Ok(account) => EngineUpdate::Connected { profile, account },
                Err(error) => EngineUpdate::NotConnected { profile, trouble: Trouble::from(&error) },
            });
        }
        EngineCommand::List { profile, path, generation } => {
            let result = list(&shared, &profile, path, generation).await;
            if let Err(error) = &result
                && error.kind() == FailureKind::Connection
            {
                shared.tell(EngineUpdate::NotConnected { profile, trouble: Trouble::from(error) });
            }
            let result = result.map_err(|error| Trouble::from(&error));
            shared.tell(EngineUpdate::Listed { generation, result });
        }
        EngineCommand::Describe { profile, path, generation } => {
            describe(&shared, &profile, path, generation).await;
        }
        EngineCommand::Log { profile, filter, generation } => {
            let result = log(&shared, &profile, filter, generation).await;
            shared.tell(EngineUpdate::LogEnd {
                generation,
                result: result.map_err(|error| Trouble::from(&error)),
            });
        }
        EngineCommand::MakeFolder { profile, path } => {
            let made = change(&shared, &profile, async |client| {
                remote::make_new_directory(client.connection().await?, path.clone()).await
            });
            shared.tell(match made.await {
                Ok(etag) => did(texts::made_folder(&path), Some(Undo::RemoveFolder { profile, path, etag })),
                Err(error) => EngineUpdate::Failed(Trouble::from(&error)),
            });
        }
        EngineCommand::Relocate { profile, pairs, copy, how } => {
            relocate::relocate(&shared, &profile, pairs, copy, how).await;
        }
        EngineCommand::RemoveFolder { profile, path, etag } => {
            let removed = change(&shared, &profile, async |client| {
                remote::remove_if(client.connection().await?, path.clone(), etag.clone()).await
            });
            shared.tell(match removed.await {
                Ok(()) => did(texts::deleted(std::slice::from_ref(&path), 1), None),
                Err(error) => EngineUpdate::Failed(Trouble::from(&error)),
            });
        }
        EngineCommand::Delete { profile, paths } => shared.tell(delete(&shared, &profile, paths).await),
        EngineCommand::Renew(profile) => {
            let renewed = change(&shared, &profile, async |client| client.renew().await);
            let update = match renewed.await {
                Ok(_) => EngineUpdate::Did { text: texts::RENEWED.into(), undo: None, touched: false },
                Err(error) => EngineUpdate::Failed(Trouble::from(&error)),
            };
            shared.forget_clients(&profile);
            shared.tell(EngineUpdate::Profiles(infos(&shared.profiles)));
            shared.tell(update);
        }
        EngineCommand::PlanUploads { profile, paths, to } => {
            names::uploads(&shared, &profile, paths, &to).await;
        }
        EngineCommand::PlanDownloads { profile, entries, to, instead } => {
            names::downloads(&shared, &profile, entries, to, instead).await;
        }
        // The main loop's own business.
        EngineCommand::Stir => {}
    }
}

async fn connect(
    shared: &EngineContext,
    profile: &Name,
) -> Result<sealift_protocol::message::Account, TransferError> {
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

async fn list(
    shared: &EngineContext,
    profile: &Name,
    path: EntryPath,
    generation: u64,
) -> Result<(), TransferError> {
    let wanted = List::of(path);
    read(shared, profile, async |client, answered| {
        let mut listing = remote::list(client.connection().await?, wanted.clone()).await?;
        while let Some(entries) = listing.page().await? {
            *answered = true;
            // The window looks at them when it is drawn next.
            let _ = shared.updates.send(EngineUpdate::Page { generation, entries });
            shared.waker.soon();
        }
        Ok(())
    })
    .await
}

async fn describe(shared: &EngineContext, profile: &Name, path: EntryPath, generation: u64) {
    let described = read(shared, profile, async |client, _| {
        let mut found = None;
        let paths = std::slice::from_ref(&path);
        remote::info(client.connection().await?, paths, |_, answer| found = Some(answer)).await?;
        match found {
            Some(answer) => Ok(answer?),
            None => Err(TransferError::Protocol("no answer came".into())),
        }
    });
    let result = described.await;
    let file = result.as_ref().ok().filter(|described| described.kind == EntryKind::File).cloned();
    let result = result.map_err(|error| Trouble::from(&error));
    shared.tell(EngineUpdate::Described { generation, result });
    if let Some(description) = file {
        let preview = match preview::kind(&description) {
            None => Preview::Nothing,
            Some(kind) => {
                preview::fetch(shared, profile, &description, kind).await.unwrap_or(Preview::Nothing)
            }
        };
        shared.tell(EngineUpdate::Previewed { generation, preview });
    }
}

async fn log(
    shared: &EngineContext,
    profile: &Name,
    filter: LogFilter,
    generation: u64,
) -> Result<(), TransferError> {
    read(shared, profile, async |client, answered| {
        let mut log = remote::log(client.connection().await?, filter.clone());
        while let Some(records) = log.page().await? {
            *answered = true;
            shared.tell(EngineUpdate::LogPage { generation, records });
        }
        Ok(())
    })
    .await
}

async fn delete(shared: &EngineContext, profile: &Name, paths: Vec<EntryPath>) -> EngineUpdate {
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
        (Err(error), _) => EngineUpdate::Failed(Trouble::from(&error)),
        (Ok(()), Some(error)) => EngineUpdate::Failed(Trouble::from(&TransferError::from(error))),
        (Ok(()), None) => did(texts::deleted(&paths, gone), None),
    }
}
