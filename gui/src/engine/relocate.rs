//! Moves and copies on the server. What is there stays, unless somebody has said that it is to be replaced.

use sealift_protocol::message::Transplant;
use sealift_transfer::{Client, TransferError, remote};
use sealift_types::{EntryPath, ErrorCode, Name};

use super::context::EngineContext;
use super::messages::{CollisionAnswer, EngineUpdate};
use super::requests::{change, did};
use crate::model::Undo;
use crate::model::conflict::{Coming, Conflict, Relocation, numbered};
use crate::model::queue::{Facts, Trouble};
use crate::texts;

/// How many numbers are tried for a name of its own.
const NUMBERS: u32 = 1000;

/// Moves or copies entries, one after the other. Tells which places are taken.
pub(super) async fn relocate(
    shared: &EngineContext,
    profile: &Name,
    pairs: Vec<(EntryPath, EntryPath)>,
    copy: bool,
    how: CollisionAnswer,
) {
    let (mut done, mut taken) = (Vec::new(), Vec::new());
    let mut next = 0;
    let result = change(shared, profile, async |client| {
        while let Some((from, to)) = pairs.get(next) {
            match place(client, from, to, copy, how).await {
                Ok(placed) => done.push((from.clone(), placed)),
                Err(error) if how == CollisionAnswer::Ask && is_taken(&error) => {
                    // The server says the same of a folder that is to go into itself: nothing is there then.
                    let Some((new, there)) = facts(client, from, to).await? else { return Err(error) };
                    let relocation = Relocation {
                        profile: profile.clone(),
                        from: from.clone(),
                        to: to.clone(),
                        copy,
                        is_folder: new.is_folder,
                    };
                    let coming = Coming::Relocation(relocation);
                    taken.push(Conflict { coming, new, there, instead: None });
                }
                Err(error) => return Err(error),
            }
            next += 1;
        }
        Ok(())
    });
    let result = result.await;
    if !done.is_empty() {
        let text = match (how, copy) {
            (CollisionAnswer::Back, _) => texts::moved_back(done.len()),
            (_, true) => texts::copied(&done),
            (_, false) => texts::moved(&done),
        };
        // What was replaced would not come back.
        let can_undo = !copy && matches!(how, CollisionAnswer::Ask | CollisionAnswer::KeepBoth { .. });
        let undo = can_undo.then(|| {
            let back = done.into_iter().rev().map(|(from, placed)| (placed, from));
            Undo::MoveBack { profile: profile.clone(), pairs: back.collect() }
        });
        shared.tell(did(text, undo));
    }
    if !taken.is_empty() {
        shared.tell(EngineUpdate::Taken(taken));
    }
    if let Err(error) = result {
        shared.tell(EngineUpdate::Failed(Trouble::from(&error)));
    }
}

/// Moves or copies one entry. Returns its new path.
async fn place(
    client: &mut Client,
    from: &EntryPath,
    to: &EntryPath,
    copy: bool,
    how: CollisionAnswer,
) -> Result<EntryPath, TransferError> {
    let mut to = to.clone();
    let name = to.file_name().unwrap_or_default().to_owned();
    let mut number = 2;
    loop {
        let if_absent = how != CollisionAnswer::Replace;
        let paths = Transplant { if_absent, exact: true, ..Transplant::new(from.clone(), to.clone()) };
        let connection = client.connection().await?;
        let placed = match copy {
            true => remote::copy(connection, paths).await,
            false => remote::rename(connection, paths).await,
        };
        match (placed, how) {
            (Err(error), CollisionAnswer::KeepBoth { is_folder }) if is_taken(&error) && number < NUMBERS => {
                let above = &to.as_str()[..to.as_str().rfind('/').map_or(0, |slash| slash + 1)];
                to = format!("{above}{}", numbered(&name, number, is_folder)).parse()?;
                number += 1;
            }
            (placed, _) => return placed,
        }
    }
}

fn is_taken(error: &TransferError) -> bool {
    matches!(error, TransferError::Refused(error) if error.code == ErrorCode::Exists)
}

/// What is known of both; `None` if one of them is not there.
async fn facts(
    client: &mut Client,
    from: &EntryPath,
    to: &EntryPath,
) -> Result<Option<(Facts, Facts)>, TransferError> {
    let mut found = [None; 2];
    let paths = [from.clone(), to.clone()];
    remote::info(client.connection().await?, &paths, |number, answer| {
        found[number] = answer.ok().map(|description| Facts::from(&description));
    })
    .await?;
    Ok(found[0].zip(found[1]))
}
