//! Flags, environment and configuration file, resolved once into a value that cannot be half-valid.

use std::ffi::OsString;
use std::path::PathBuf;

use sealift_transfer::configuration::Platform;
use sealift_transfer::profile::default_name;
use sealift_transfer::{Address, Configuration, Profile, Profiles};
use sealift_types::Name;

use crate::failure::{Exit, Failure};
use crate::flags::Flags;

/// What the user wants, in force for the whole run.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The profile that was chosen, if one was.
    pub(crate) profile: Option<Name>,
    /// The address to dial instead of the profile's.
    pub(crate) server: Option<Address>,
    /// Print JSON lines.
    pub(crate) json: bool,
    /// Print no progress and no summaries.
    pub(crate) quiet: bool,
    /// All profiles.
    pub(crate) profiles: Profiles,
    /// Where `config.toml` is.
    pub(crate) directory: PathBuf,
    /// The profile that `config.toml` names.
    pub(crate) profile_in_file: Option<Name>,
    /// The profile that the environment names.
    pub(crate) profile_in_environment: Option<Name>,
}

impl Settings {
    /// Resolves the flags with this process's environment and the user's configuration directory.
    pub(crate) fn from_surroundings(flags: &Flags) -> Result<Self, Failure> {
        Self::resolve(flags, |name| std::env::var_os(name), Platform::of_this_user)
    }

    /// Resolves: a flag counts more than the environment, and that more than the file.
    fn resolve(
        flags: &Flags,
        environment: impl Fn(&str) -> Option<OsString>,
        platform: impl FnOnce() -> Option<Platform>,
    ) -> Result<Self, Failure> {
        let configuration = Configuration::find(environment, platform)?;
        let file = configuration.file()?;
        let switch = |name| switch(&configuration, name);
        let in_environment: Option<Name> = configuration.parsed("SEALIFT_PROFILE")?;
        let profile = flags.profile.clone().or(in_environment.clone()).or(file.profile.clone());
        let server = match &flags.server {
            Some(address) => Some(address.clone()),
            None => configuration.parsed("SEALIFT_SERVER")?,
        };
        let json = flags.json || switch("SEALIFT_JSON")?.or(file.json).unwrap_or(false);
        let quiet = flags.quiet || switch("SEALIFT_QUIET")?.or(file.quiet).unwrap_or(false);
        Ok(Self {
            profile,
            server,
            json,
            quiet,
            profiles: configuration.profiles(),
            directory: configuration.directory().to_owned(),
            profile_in_file: file.profile,
            profile_in_environment: in_environment,
        })
    }

    /// Whether failures are told as JSON, as far as that can be known: also where other settings or flags are wrong.
    pub(crate) fn wants_json(flags: &Flags) -> bool {
        let environment = |name: &str| std::env::var_os(name);
        let Ok(configuration) = Configuration::find(environment, Platform::of_this_user) else {
            return flags.json;
        };
        let in_environment = switch(&configuration, "SEALIFT_JSON").ok().flatten();
        let in_file = || configuration.file().ok().and_then(|file| file.json);
        flags.json || in_environment.or_else(in_file).unwrap_or(false)
    }

    /// The profile that is meant: the chosen one, else `default`, else the only one.
    pub(crate) fn load_profile(&self) -> Result<Profile, Failure> {
        Ok(self.profiles.load(&self.meant_profile()?)?)
    }

    /// Its name.
    pub(crate) fn meant_profile(&self) -> Result<Name, Failure> {
        self.profile.clone().map_or_else(|| self.only_profile(), Ok)
    }

    /// What a command needs behind it to mean a profile: nothing if that one is meant anyway.
    pub(crate) fn naming(&self, name: &Name) -> String {
        let usual = self.profile_in_environment.as_ref().or(self.profile_in_file.as_ref());
        let is_usual = match usual {
            Some(usual) => usual == name,
            None => self.only_profile().is_ok_and(|only| only == *name),
        };
        if is_usual { String::new() } else { format!(" --profile {name}") }
    }

    /// The name under which a join is saved.
    pub(crate) fn new_profile(&self) -> Name {
        self.profile.clone().unwrap_or_else(default_name)
    }

    fn only_profile(&self) -> Result<Name, Failure> {
        let default = default_name();
        if self.profiles.contains(&default) {
            return Ok(default);
        }
        let mut names = self.profiles.names()?;
        match (names.pop(), names.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => {
                let place = self.directory.join("profiles");
                let message = format!(
                    "this computer has not joined a server yet: there is no profile in {}",
                    place.display()
                );
                Err(Failure::new(Exit::Other, "profile", message)
                    .hint("run `sealift join TOKEN`; `sealiftd invite NAME` prints a token on the server"))
            }
            (Some(last), false) => {
                let names: Vec<_> = names.iter().chain([&last]).map(Name::as_str).collect();
                Err(Failure::usage(format!("there are several profiles: {}", names.join(", "))).hint(
                    "choose one with --profile NAME or SEALIFT_PROFILE, or for good with `sealift profile use NAME`",
                ))
            }
        }
    }
}

/// A variable of the environment that is on or off; `None` if it is not set.
fn switch<E>(configuration: &Configuration<E>, name: &'static str) -> Result<Option<bool>, Failure>
where
    E: Fn(&str) -> Option<OsString>,
{
    let Some(text) = configuration.variable(name)? else { return Ok(None) };
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(Some(true)),
        "0" | "false" | "no" | "off" => Ok(Some(false)),
        _ => Err(Failure::usage(format!("{name} is {text:?}: set it to 1 or 0, or unset it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Surroundings {
        directory: tempfile::TempDir,
        environment: Vec<(&'static str, &'static str)>,
    }

    impl Surroundings {
        fn new(file: &str, environment: &[(&'static str, &'static str)]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("config.toml"), file).unwrap();
            Self { directory, environment: environment.to_vec() }
        }

        fn resolve(&self, flags: &Flags) -> Result<Settings, Failure> {
            let variable = |name: &str| {
                let found = self.environment.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            };
            let here = self.directory.path().to_owned();
            Settings::resolve(flags, variable, || Some(Platform { configuration: here.clone(), state: here }))
        }

        fn make_profile(&self, name: &str) {
            let path = self.directory.path().join("profiles").join(name);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("profile.toml"), "").unwrap();
        }
    }

    fn name(text: &str) -> Option<Name> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn flags_count_more_than_the_environment_and_that_more_than_the_file() {
        let file = "profile = 'file'\nquiet = true\njson = true";
        let in_file = Surroundings::new(file, &[]);
        let in_environment = Surroundings::new(
            file,
            &[
                ("SEALIFT_PROFILE", "environment"),
                ("SEALIFT_QUIET", "0"),
                ("SEALIFT_JSON", "no"),
                ("SEALIFT_SERVER", "e:1"),
            ],
        );
        let flags =
            Flags { profile: name("flag"), server: Some("f:2".parse().unwrap()), json: true, quiet: true };
        let nothing = Flags::default();

        let settings = in_file.resolve(&nothing).unwrap();
        assert_eq!((settings.profile, settings.quiet, settings.json), (name("file"), true, true));
        assert_eq!(settings.server, None);

        let settings = in_environment.resolve(&nothing).unwrap();
        assert_eq!((settings.profile, settings.quiet, settings.json), (name("environment"), false, false));
        assert_eq!(settings.server.unwrap().to_string(), "e:1");

        let settings = in_environment.resolve(&flags).unwrap();
        assert_eq!((settings.profile, settings.quiet, settings.json), (name("flag"), true, true));
        assert_eq!(settings.server.unwrap().to_string(), "f:2");
    }

    #[test]
    fn the_environment_moves_the_directory() {
        let here = tempfile::tempdir().unwrap();
        fs::write(here.path().join("config.toml"), "profile = 'moved'").unwrap();
        let variable =
            |name: &str| (name == "SEALIFT_CONFIG_DIR").then(|| here.path().as_os_str().to_owned());
        let settings = Settings::resolve(&Flags::default(), variable, || None).unwrap();
        assert_eq!(settings.profile, name("moved"));
        let nowhere = Settings::resolve(&Flags::default(), |_| None, || None).unwrap_err();
        assert!(nowhere.message.contains("SEALIFT_CONFIG_DIR"));
    }

    #[test]
    fn what_is_wrong_is_named_where_it_is() {
        for (file, environment, named) in [
            ("profil = 'x'", ("", ""), "config.toml"),
            ("profile = 'Not A Name'", ("", ""), "config.toml"),
            ("", ("SEALIFT_PROFILE", "A/B"), "SEALIFT_PROFILE"),
            ("", ("SEALIFT_SERVER", "a b"), "SEALIFT_SERVER"),
            ("", ("SEALIFT_QUIET", "perhaps"), "SEALIFT_QUIET"),
        ] {
            let failure = Surroundings::new(file, &[environment]).resolve(&Flags::default()).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.message.contains(named), "{}", failure.message);
        }
        assert!(Surroundings::new("", &[("SEALIFT_SERVER", "")]).resolve(&Flags::default()).is_ok(), "unset");
    }

    #[test]
    fn without_a_choice_it_is_the_default_or_the_only_one() {
        let surroundings = Surroundings::new("", &[]);
        let settings = surroundings.resolve(&Flags::default()).unwrap();
        assert!(settings.only_profile().unwrap_err().hint.unwrap().contains("sealift join"));
        surroundings.make_profile("work");
        assert_eq!(Some(settings.only_profile().unwrap()), name("work"));
        surroundings.make_profile("home");
        let failure = settings.only_profile().unwrap_err();
        assert!(failure.message.ends_with("home, work"), "{}", failure.message);
        surroundings.make_profile("default");
        assert_eq!(Some(settings.only_profile().unwrap()), name("default"));
        assert_eq!(Some(settings.new_profile()), name("default"));
    }
}
