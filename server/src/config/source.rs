//! Where settings come from: flags, then the environment, then the file, then the defaults.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::keys::{KEYS, SettingKey};
use super::suggestion::nearest;
use super::value::GivenValue;
use super::{DEFAULT_FILE, ServerConfig};

/// What the names of the environment's variables begin with.
pub const PREFIX: &str = "SEALIFTD_";

/// The variable that names the file; the only one that is no setting.
const FILE: &str = "SEALIFTD_CONFIG";

/// Everything that settings are made of; can be read again and again.
#[derive(Debug)]
pub struct Sources {
    file: Option<PathBuf>,
    environment: Vec<(String, Option<String>)>,
    flags: Vec<FlagValue>,
}

struct FlagValue {
    key: &'static str,
    name: &'static str,
    apply: Box<dyn Fn(&mut ServerConfig) + Send + Sync>,
}

/// Where a value was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueOrigin {
    /// Nowhere.
    Default,
    /// In the file, on this line.
    File(PathBuf, usize),
    /// In this variable.
    Environment(String),
    /// In this argument.
    Flag(&'static str),
}

/// The settings, and where each came from, in the order of [`KEYS`].
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The settings, after all sources were taken together.
    pub config: ServerConfig,
    /// Where they came from.
    pub origins: Vec<ValueOrigin>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

/// All that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<String>);

impl Sources {
    /// The named file, or else the usual one if it is there, and this process's environment.
    pub fn new(file: Option<PathBuf>) -> Self {
        Self::with_environment(file, std::env::vars_os())
    }

    /// The same with another environment.
    pub fn with_environment(
        file: Option<PathBuf>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let ours = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            // An empty variable is the usual way to say that there is none.
            let set = (name.starts_with(PREFIX) || name == "RUST_LOG") && name != FILE && !value.is_empty();
            set.then(|| (name, value.into_string().ok()))
        };
        let mut environment: Vec<_> = environment.into_iter().filter_map(ours).collect();
        environment.sort();
        Self { file, environment, flags: Vec::new() }
    }

    /// A value that an argument gives, if it was given.
    pub fn flag<T: Clone + Send + Sync + 'static>(
        &mut self,
        key: &'static str,
        name: &'static str,
        value: Option<T>,
        set: fn(&mut ServerConfig, T),
    ) {
        if let Some(value) = value {
            let apply = Box::new(move |config: &mut ServerConfig| set(config, value.clone()));
            self.flags.push(FlagValue { key, name, apply });
        }
    }

    /// The file that is read, if it is there.
    pub fn file(&self) -> &Path {
        self.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE))
    }

    /// Reads them all.
    pub fn resolve(&self) -> Result<Resolved, Problems> {
        let mut reading = PartialConfig::default();
        let file = match fs::read_to_string(self.file()) {
            Ok(text) => {
                reading.file(self.file(), &text);
                Some(self.file().to_owned())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.file.is_none() => None,
            Err(error) => {
                let mend = "correct its name or its permissions, or name another one with --config";
                let path = self.file().display();
                reading.problems.push(format!("the configuration {path} cannot be read: {error}; {mend}"));
                None
            }
        };
        // RUST_LOG sorts first: it is the weaker one.
        self.environment.iter().for_each(|(name, value)| reading.variable(name, value.as_deref()));
        for flag in &self.flags {
            (flag.apply)(&mut reading.config);
            reading.found(flag.key, ValueOrigin::Flag(flag.name));
        }
        let PartialConfig { config, origins, problems } = reading;
        if problems.is_empty() { Ok(Resolved { config, origins, file }) } else { Err(Problems(problems)) }
    }
}

impl ServerConfig {
    /// The defaults, but for what a file's text says.
    pub fn from_toml(text: &str) -> Result<Self, Problems> {
        let mut reading = PartialConfig::default();
        reading.file(Path::new("the configuration"), text);
        if reading.problems.is_empty() { Ok(reading.config) } else { Err(Problems(reading.problems)) }
    }
}

/// Settings as far as they were read.
struct PartialConfig {
    config: ServerConfig,
    origins: Vec<ValueOrigin>,
    problems: Vec<String>,
}

impl Default for PartialConfig {
    fn default() -> Self {
        let origins = vec![ValueOrigin::Default; KEYS.len()];
        Self { config: ServerConfig::default(), origins, problems: Vec::new() }
    }
}

impl PartialConfig {
    fn file(&mut self, path: &Path, text: &str) {
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = error.span().map_or(1, |span| line(span.start));
            let message = error.message();
            self.problems.push(format!("{}:{line}: this is not TOML: {message}", path.display()));
        }
        // What a parser makes of the rest would only lead to further complaints.
        if errors.is_empty() {
            self.table(&File { path, text, line: &line }, "", table.get_ref());
        }
    }

    fn table(&mut self, file: &File<'_>, above: &str, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        // As they stand in the file, so that complaints do, too.
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = format!("{above}{}", key.get_ref());
            let line = (file.line)(key.span().start);
            let is_table = KEYS.iter().any(|key| key.name.starts_with(&format!("{name}.")));
            let problem = match (KEYS.iter().find(|key| key.name == name), value.get_ref()) {
                (Some(key), found) => {
                    let (given, origin) =
                        (GivenValue::from(found), ValueOrigin::File(file.path.to_owned(), line));
                    let written = shorten(&file.text[value.span()]);
                    let wrong = self.set(key, &given, origin).err();
                    wrong.map(|mend| format!("{name} = {written} makes no sense: {mend}"))
                }
                (None, DeValue::Table(inner)) if is_table => {
                    self.table(file, &format!("{name}."), inner);
                    None
                }
                (None, _) if is_table => {
                    Some(format!("{name} is a table: write [{name}], and its keys below"))
                }
                (None, _) => {
                    let tables = KEYS.iter().filter_map(|key| Some(key.name.rsplit_once('.')?.0));
                    let known = KEYS.iter().map(|key| key.name).chain(tables);
                    Some(format!("there is no key `{name}`: {}", mend(nearest(&name, known))))
                }
            };
            self.problems.extend(problem.map(|problem| format!("{}:{line}: {problem}", file.path.display())));
        }
    }

    fn variable(&mut self, name: &str, value: Option<&str>) {
        let wanted = if name == "RUST_LOG" { "SEALIFTD_LOG_LEVEL" } else { name };
        let Some(key) = KEYS.iter().find(|key| key.variable() == wanted) else {
            if !is_of_kubernetes(name) {
                let known: Vec<_> = KEYS.iter().map(SettingKey::variable).collect();
                let mend = mend(nearest(name, known.iter().map(String::as_str).chain([FILE])));
                self.problems.push(format!("there is no variable {name}: {mend}"));
            }
            return;
        };
        let Some(value) = value else {
            self.problems.push(format!("{name} is not UTF-8: write it so, or use the configuration file"));
            return;
        };
        if let Err(mend) =
            self.set(key, &GivenValue::Text(value.to_owned()), ValueOrigin::Environment(name.to_owned()))
        {
            let value = shorten(value);
            self.problems.push(format!("{name} = {value} makes no sense: {mend}"));
        }
    }

    fn set(&mut self, key: &SettingKey, given: &GivenValue, origin: ValueOrigin) -> Result<(), String> {
        (key.set)(&mut self.config, given)?;
        self.found(key.name, origin);
        Ok(())
    }

    fn found(&mut self, key: &str, origin: ValueOrigin) {
        if let Some(index) = KEYS.iter().position(|known| known.name == key) {
            self.origins[index] = origin;
        }
    }
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
    /// The line of a byte.
    line: &'a dyn Fn(usize) -> usize,
}

/// Whether Kubernetes sets a variable of this name wherever there is a service with the name `sealiftd`.
fn is_of_kubernetes(name: &str) -> bool {
    ["SERVICE_HOST", "SERVICE_PORT", "PORT"].iter().any(|start| {
        let rest = name.strip_prefix(PREFIX).and_then(|name| name.strip_prefix(start));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

fn mend(meant: Option<&str>) -> String {
    match meant {
        Some(name) => format!("did you mean `{name}`?"),
        None => "`sealiftd config show` lists all that there are".into(),
    }
}

/// One line of a value, and not all of a long one.
fn shorten(value: &str) -> String {
    let mut short: String = value.chars().take_while(|c| !c.is_control()).take(60).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    short
}

impl fmt::Debug for FlagValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

impl Problems {
    /// Each in one sentence.
    pub fn all(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Problems {
    /// The first of them in one sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => Ok(()),
            [only] => f.write_str(only),
            [first, rest @ ..] => {
                write!(f, "{first} (and {} more: `sealiftd config check` lists all)", rest.len())
            }
        }
    }
}

impl std::error::Error for Problems {}
