//! Profiles: joining, joining again, renaming, removing.

use std::time::SystemTime;

use sealift_certs::JoinToken;
use sealift_transfer::profile::{ProfileError, default_name};
use sealift_transfer::{Profiles, TransferError};
use sealift_types::Name;

use super::context::{EngineContext, options};
use super::messages::{EngineUpdate, ProfileInfo};
use crate::model::queue::Trouble;

/// What there is to know of all profiles.
pub(crate) fn infos(profiles: &Profiles) -> Vec<ProfileInfo> {
    let names = profiles.names().unwrap_or_default();
    let info = |name: Name| match profiles.load(&name) {
        Ok(profile) => ProfileInfo {
            name,
            identity: Some(profile.identity.clone()),
            server: profile.addresses.first().map(ToString::to_string).unwrap_or_default(),
            expires: profile.validity().ok().map(|validity| validity.not_after),
            renew: profile.validity().is_ok_and(|validity| validity.should_renew(SystemTime::now())),
            trouble: None,
        },
        Err(error) => {
            let trouble = Some(Trouble::from(&TransferError::from(error)));
            ProfileInfo { name, identity: None, server: String::new(), expires: None, renew: false, trouble }
        }
    };
    names.into_iter().map(info).collect()
}

/// Trades a token for a profile. It takes the place of the one that is of no use any more, if that is of the same
/// server: `again`, or one that has expired. Else it gets the `name`, or one that is free.
pub(super) async fn join(shared: &EngineContext, token: &str, name: &str, again: Option<Name>) {
    let joined = try_to_join(shared, token, name, again).await;
    let name = match joined {
        Ok(name) => name,
        Err(trouble) => return shared.tell(EngineUpdate::NotJoined(trouble)),
    };
    shared.forget_clients(&name);
    // What waited for it goes on.
    shared.queue().release(&name);
    shared.stirred.notify_one();
    shared.tell(EngineUpdate::Profiles(infos(&shared.profiles)));
    shared.tell(EngineUpdate::Joined(name));
}

async fn try_to_join(
    shared: &EngineContext,
    token: &str,
    name: &str,
    again: Option<Name>,
) -> Result<Name, Trouble> {
    let token = token.parse::<JoinToken>().map_err(|error| Trouble::of_person(error.to_string()))?;
    let failed = |error: TransferError| Trouble::from(&error);
    let again = again.filter(|name| shared.profiles.is_of_server(name, &token));
    let again = again.or_else(|| expired(shared, &token).filter(|_| name.is_empty()));
    // First of all, so that no token is spent on a certificate that cannot be kept.
    let place = match (again, name) {
        (Some(name), _) => shared.profiles.reserve_again(&name),
        (None, "") => shared.profiles.reserve(&free_name(&shared.profiles)),
        (None, name) => {
            let name = name.parse::<Name>().map_err(|error| Trouble::of_person(error.to_string()))?;
            shared.profiles.reserve(&name)
        }
    };
    let place = place.map_err(|error| failed(error.into()))?;
    let enrolment = sealift_transfer::join::join(&token, &options()).await.map_err(failed)?;
    let profile = place.save(&enrolment).map_err(|error| failed(error.into()))?;
    Ok(profile.name)
}

/// An expired profile of the token's server.
fn expired(shared: &EngineContext, token: &JoinToken) -> Option<Name> {
    let now = SystemTime::now();
    let has_expired = |info: &ProfileInfo| info.expires.is_some_and(|expires| expires <= now);
    let mut expired = infos(&shared.profiles).into_iter().filter(has_expired).map(|info| info.name);
    expired.find(|name| shared.profiles.is_of_server(name, token))
}

/// The name that the command line uses, or the first of `server-2`, `server-3`, ... that is free.
fn free_name(profiles: &Profiles) -> Name {
    let others = (2..).filter_map(|number| format!("server-{number}").parse::<Name>().ok());
    let mut free = std::iter::once(default_name()).chain(others).filter(|name| !profiles.contains(name));
    free.next().expect("there are more names than profiles")
}

/// Removes a profile, and its transfers from the list.
pub(super) fn remove(shared: &EngineContext, name: Name) {
    change(shared, &name.clone(), shared.profiles.remove(&name), |shared| {
        shared.queue().forget_server(&name);
        EngineUpdate::Removed(name)
    });
}

/// Gives a profile and its transfers another name.
pub(super) fn rename(shared: &EngineContext, from: Name, to: Name) {
    change(shared, &from.clone(), shared.profiles.rename(&from, &to), |shared| {
        // Those of another server that had the name.
        shared.forget_clients(&to);
        shared.queue().rename_server(&from, &to);
        EngineUpdate::Renamed { from, to }
    });
}

/// Nothing of the engine runs between the change on the disk and that of the queue.
fn change(
    shared: &EngineContext,
    name: &Name,
    changed: Result<(), ProfileError>,
    then: impl FnOnce(&EngineContext) -> EngineUpdate,
) {
    match changed {
        Ok(()) => {
            shared.forget_clients(name);
            let update = then(shared);
            shared.stirred.notify_one();
            shared.dirty.notify_one();
            shared.tell(EngineUpdate::Profiles(infos(&shared.profiles)));
            shared.tell(update);
        }
        Err(error) => shared.tell(EngineUpdate::Failed(Trouble::from(&TransferError::from(error)))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::engine::Opening;

    #[test]
    fn a_server_gets_none_of_the_connections_of_another_one_that_had_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let [old, new] = ["old", "new"].map(|name| name.parse::<Name>().unwrap());
        std::fs::create_dir(directory.path().join("old")).unwrap();
        let (updates, told) = channel();
        let shared = EngineContext {
            profiles: Profiles::new(directory.path().into()),
            queue: Arc::new(std::sync::Mutex::new(crate::model::queue::TransferQueue::new(1))),
            updates,
            waker: Arc::default(),
            attended: Arc::default(),
            opening: Opening::default(),
            idle: std::sync::Mutex::default(),
            stirred: tokio::sync::Notify::new(),
            dirty: tokio::sync::Notify::new(),
        };
        for name in [&old, &new] {
            shared.idle.lock().unwrap().insert(name.clone(), Vec::new());
        }
        rename(&shared, old, new);
        assert!(told.try_iter().any(|update| matches!(update, EngineUpdate::Renamed { .. })));
        assert!(shared.idle.lock().unwrap().is_empty());
    }
}
