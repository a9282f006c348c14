//! What is to be transferred, and which names are taken where it goes.

use std::io;
use std::path::{Path, PathBuf};

use sealift_protocol::message::{Direction, List};
use sealift_transfer::error::Unfit;
use sealift_transfer::{TransferError, remote};
use sealift_types::{EntryPath, ErrorCode, Name};

use super::context::EngineContext;
use super::messages::EngineUpdate;
use super::requests::read;
use crate::model::queue::{Facts, ItemId, Spec, Trouble, Wanted};

/// Looks at local files and directories, and at the directory on the server that they go to.
pub(super) async fn uploads(shared: &EngineContext, profile: &Name, paths: Vec<PathBuf>, to: &EntryPath) {
    let (owner, directory) = (profile.clone(), to.clone());
    let looking = tokio::task::spawn_blocking(move || {
        let specs = paths.into_iter().map(|path| upload(&owner, path, &directory));
        let (mut found, mut troubles) = (Vec::new(), Vec::new());
        for spec in specs {
            match spec {
                Ok(spec) => found.push(spec),
                Err(error) => troubles.push(Trouble::from(&error)),
            }
        }
        (found, troubles)
    });
    let Ok((specs, troubles)) = looking.await else { return };
    let taken = match remote_names(shared, profile, to).await {
        Ok(taken) => taken,
        Err(error) => return shared.tell(EngineUpdate::Failed(Trouble::from(&error))),
    };
    shared.tell(EngineUpdate::Planned { specs, taken, troubles, instead: None });
}

fn upload(profile: &Name, path: PathBuf, directory: &EntryPath) -> Result<(Spec, Facts), TransferError> {
    let metadata = path.metadata().map_err(TransferError::local("read", &path))?;
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| TransferError::Unfit { path: path.clone(), unfit: Unfit::NotUtf8 })?;
    if !metadata.is_dir() && !metadata.is_file() {
        return Err(TransferError::Unfit { path, unfit: Unfit::Special });
    }
    let remote = directory.join(name)?;
    let tree = metadata.is_dir();
    let facts = Facts::from(&metadata);
    let spec = Spec {
        profile: profile.clone(),
        direction: Direction::Put,
        local: path,
        remote,
        tree,
        size: facts.size,
    };
    Ok((spec, facts))
}

/// The names in a directory on the server, and what has them; none if it is not there, or may not be read.
async fn remote_names(
    shared: &EngineContext,
    profile: &Name,
    path: &EntryPath,
) -> Result<Vec<(String, Facts)>, TransferError> {
    let wanted = List::of(path.clone());
    let listed = read(shared, profile, async |client, _| {
        let mut names = Vec::new();
        let mut listing = remote::list(client.connection().await?, wanted.clone()).await?;
        while let Some(entries) = listing.page().await? {
            names.extend(entries.into_iter().map(|entry| {
                let facts = Facts::from(&entry);
                (entry.name, facts)
            }));
        }
        Ok(names)
    });
    match listed.await {
        // Whoever may only drop files there is not told what is there.
        Err(TransferError::Refused(error))
            if matches!(error.code, ErrorCode::NotFound | ErrorCode::NotAllowed) =>
        {
            Ok(Vec::new())
        }
        listed => listed,
    }
}

/// Looks at the local directory that these go to.
pub(super) async fn downloads(
    shared: &EngineContext,
    profile: &Name,
    entries: Vec<Wanted>,
    to: PathBuf,
    instead: Option<ItemId>,
) {
    let owner = profile.clone();
    let looking = tokio::task::spawn_blocking(move || {
        let taken = local_names(&to)?;
        let spec = |Wanted { path: remote, facts }: Wanted| {
            let local = to.join(remote.file_name()?);
            let (tree, size) = (facts.is_folder, facts.size);
            let profile = owner.clone();
            Some((Spec { profile, direction: Direction::Get, local, remote, tree, size }, facts))
        };
        Ok::<_, TransferError>((entries.into_iter().filter_map(spec).collect::<Vec<_>>(), taken))
    });
    match looking.await {
        Ok(Ok((specs, taken))) => {
            shared.tell(EngineUpdate::Planned { specs, taken, troubles: Vec::new(), instead });
        }
        Ok(Err(error)) => shared.tell(EngineUpdate::Failed(Trouble::from(&error))),
        Err(_) => {}
    }
}

fn local_names(directory: &Path) -> Result<Vec<(String, Facts)>, TransferError> {
    let entries = match std::fs::read_dir(directory) {
        // It is made when the first file comes.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(TransferError::local("read", directory))?,
    };
    let named = |entry: std::fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        // A link that leads nowhere has its name all the same.
        let metadata = entry.path().metadata().or_else(|_| entry.metadata());
        (name, metadata.map_or_else(|_| Facts::default(), |metadata| Facts::from(&metadata)))
    };
    Ok(entries.filter_map(Result::ok).map(named).collect())
}
