//! Local paths in JSON: as text where they are text, else as the system has them, so that none is lost.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Saved {
    Text(PathBuf),
    /// `{"Unix": [47, 104, ...]}`, or `Windows` and 16-bit units.
    System(OsString),
}

pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) => serializer.serialize_str(text),
        None => path.as_os_str().serialize(serializer),
    }
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    Ok(match Saved::deserialize(deserializer)? {
        Saved::Text(path) => path,
        Saved::System(path) => path.into(),
    })
}

/// The same, for a path that may be missing.
pub(crate) mod option {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct AnyPath(#[serde(with = "super")] PathBuf);

    pub(crate) fn serialize<S: Serializer>(path: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        path.clone().map(AnyPath).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<AnyPath>::deserialize(deserializer)?.map(|path| path.0))
    }
}
