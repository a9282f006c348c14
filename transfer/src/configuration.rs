//! A user's configuration, as far as all front ends share it: where it is, and which profile is meant.
//!
//! Front ends look things up here; the engine itself asks for none of it.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sealift_certs::files::{create_private_dir, write_private};
use sealift_types::Name;
use serde::Deserialize;

use crate::error::plain;
use crate::profile::Profiles;

/// Where a user's configuration is, and the environment that has a say in it.
#[derive(Debug)]
pub struct Configuration<E> {
    environment: E,
    directory: PathBuf,
    state: PathBuf,
}

/// Where the platform wants things to be.
#[derive(Debug, Clone)]
pub struct Platform {
    /// What a user configures.
    pub configuration: PathBuf,
    /// What a program keeps for itself.
    pub state: PathBuf,
}

/// `config.toml`. All keys may be missing.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationFile {
    /// The profile that is meant when none is named.
    pub profile: Option<Name>,
    /// Whether the command line prints no progress.
    pub quiet: Option<bool>,
    /// Whether it prints JSON.
    pub json: Option<bool>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// There is no place for one.
    #[error("this system names no directory for configuration: set SEALIFT_CONFIG_DIR to one")]
    NoDirectory,
    /// The file cannot be read, or does not say what it should.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A variable of the environment does not say what it should.
    #[error("{name}: {reason}")]
    Variable {
        /// Which one.
        name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A variable of the environment is no text.
    #[error("{0} is not UTF-8: correct it, or unset it")]
    NotUtf8(&'static str),
}

impl Platform {
    /// That of the user who runs this.
    pub fn of_this_user() -> Option<Self> {
        let directories = directories::ProjectDirs::from("", "", "sealift")?;
        let state = directories.state_dir().unwrap_or_else(|| directories.data_local_dir());
        Some(Self { configuration: directories.config_dir().to_owned(), state: state.to_owned() })
    }
}

impl<E: Fn(&str) -> Option<OsString>> Configuration<E> {
    /// Finds the configuration: where `SEALIFT_CONFIG_DIR` says, or else where the platform wants it.
    ///
    /// # Errors
    /// Fails when neither names a directory.
    pub fn find(
        environment: E,
        platform: impl FnOnce() -> Option<Platform>,
    ) -> Result<Self, ConfigurationError> {
        let named = environment("SEALIFT_CONFIG_DIR").filter(|value| !value.is_empty()).map(PathBuf::from);
        let platform = match named {
            // One directory for all of it: what tests and portable installations want.
            Some(named) => Platform { configuration: named.clone(), state: named },
            None => platform().ok_or(ConfigurationError::NoDirectory)?,
        };
        Ok(Self { environment, directory: platform.configuration, state: platform.state })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where programs keep what they keep for themselves.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// All profiles.
    pub fn profiles(&self) -> Profiles {
        Profiles::new(self.directory.join("profiles"))
    }

    /// What a variable of the environment says; an empty one says nothing.
    ///
    /// # Errors
    /// Fails when it is not UTF-8.
    pub fn variable(&self, name: &'static str) -> Result<Option<String>, ConfigurationError> {
        let value = (self.environment)(name).filter(|value| !value.is_empty());
        value.map(|value| value.into_string().map_err(|_| ConfigurationError::NotUtf8(name))).transpose()
    }

    /// The same, read as something.
    ///
    /// # Errors
    /// Fails when it cannot be read.
    pub fn parsed<T: FromStr<Err: Display>>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, ConfigurationError> {
        let wrong = |error: T::Err| ConfigurationError::Variable { name, reason: error.to_string() };
        self.variable(name)?.map(|text| text.parse().map_err(wrong)).transpose()
    }

    /// What `config.toml` says.
    ///
    /// # Errors
    /// Fails when the file is there and cannot be read, or holds what nobody knows.
    pub fn file(&self) -> Result<ConfigurationFile, ConfigurationError> {
        let path = self.directory.join("config.toml");
        let wrong = |reason: &str| ConfigurationError::File {
            path: path.clone(),
            reason: reason.trim_end().to_owned(),
        };
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
                let number = before.matches('\n').count();
                let line = text.lines().nth(number).unwrap_or_default().trim();
                wrong(&format!("line {}, `{line}`: {}", number + 1, error.message()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ConfigurationFile::default()),
            Err(error) => Err(wrong(&plain(&error))),
        }
    }

    /// The profile that is meant when nobody says another: by `SEALIFT_PROFILE`, else by `config.toml`.
    ///
    /// # Errors
    /// Fails when what counts cannot be read.
    pub fn profile(&self) -> Result<Option<Name>, ConfigurationError> {
        match self.parsed("SEALIFT_PROFILE")? {
            Some(name) => Ok(Some(name)),
            None => Ok(self.file()?.profile),
        }
    }
}

/// Writes into `config.toml` which profile is meant when none is named; `None` takes that out. Everything else in the file
/// stays as it is.
///
/// # Errors
/// Fails when the file cannot be read or written, or does not say what it should.
pub fn select_profile(directory: &Path, name: Option<&Name>) -> Result<(), ConfigurationError> {
    let path = directory.join("config.toml");
    let wrong = |reason: String| ConfigurationError::File { path: path.clone(), reason };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(wrong(plain(&error))),
    };
    let is_the_key = |line: &str| {
        line.trim_start().strip_prefix("profile").is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let chosen = name.map(|name| format!("profile = \"{name}\"\n"));
    let others = text.split_inclusive('\n').filter(|line| !is_the_key(line));
    // First: what is behind a table would be in it.
    let new: String = chosen.as_deref().into_iter().chain(others).collect();
    // What is not one line would have been taken apart.
    let parsed =
        toml::from_str::<ConfigurationFile>(&new).map_err(|error| wrong(error.message().to_owned()))?;
    if parsed.profile.as_ref() != name {
        return Err(wrong("write the key `profile` on one line of its own".into()));
    }
    create_private_dir(directory)
        .and_then(|()| write_private(&path, new.as_bytes()))
        .map_err(|error| wrong(plain(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, profile: Option<&'static str>) -> (tempfile::TempDir, Option<Name>) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("config.toml"), file).unwrap();
        let here = directory.path().to_owned();
        let environment = |name: &str| match name {
            "SEALIFT_PROFILE" => profile.map(OsString::from),
            "SEALIFT_CONFIG_DIR" => Some(here.clone().into_os_string()),
            _ => None,
        };
        let configuration = Configuration::find(environment, || panic!("a directory is named")).unwrap();
        assert_eq!((configuration.directory(), configuration.state()), (directory.path(), directory.path()));
        let profile = configuration.profile().unwrap();
        (directory, profile)
    }

    #[test]
    fn the_environment_counts_more_than_the_file() {
        let name = |text: &str| Some(text.parse().unwrap());
        assert_eq!(found("profile = 'file'", None).1, name("file"));
        assert_eq!(found("profile = 'file'", Some("environment")).1, name("environment"));
        assert_eq!(found("profile = 'file'", Some("")).1, name("file"));
        assert_eq!(found("", None).1, None);
    }

    #[test]
    fn a_profile_is_selected_and_the_rest_of_the_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        let name = |text: &str| -> Name { text.parse().unwrap() };
        select_profile(directory.path(), Some(&name("work"))).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "profile = \"work\"\n");
        fs::write(&path, "# mine\nquiet = true\n  profile='a' # why\n").unwrap();
        select_profile(directory.path(), Some(&name("b"))).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "profile = \"b\"\n# mine\nquiet = true\n");
        select_profile(directory.path(), None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "# mine\nquiet = true\n");
        for odd in ["nobody = 'knows'\n", "'profile' = 'a'\n", "profile = \"\"\"\na\"\"\"\n"] {
            fs::write(&path, odd).unwrap();
            assert!(select_profile(directory.path(), Some(&name("b"))).is_err(), "{odd}");
            assert_eq!(fs::read_to_string(&path).unwrap(), odd);
        }
    }

    #[test]
    fn the_platform_counts_when_nothing_is_named() {
        let platform = Platform { configuration: "/c".into(), state: "/s".into() };
        let configuration = Configuration::find(|_| None, || Some(platform)).unwrap();
        assert_eq!((configuration.directory(), configuration.state()), (Path::new("/c"), Path::new("/s")));
        let nowhere = Configuration::find(|_| None, || None).err().expect("there is no place");
        assert!(nowhere.to_string().contains("SEALIFT_CONFIG_DIR"));
    }
}
