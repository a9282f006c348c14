//! Reads the settings again while the server runs: when it is told to, by SIGHUP, and when the file has changed.
//!
//! Settings that are wrong are reported, and those that were in force stay. A file that is being written is left alone
//! until it has looked the same twice: half of one may be a good configuration, too, of another server.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::config::keys::{KEYS, SettingScope};
use crate::config::{LiveConfig, Problems, Resolved, ServerConfig, Sources, ValueOrigin};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Reads the settings again.
#[derive(Debug)]
pub struct Reloader {
    sources: Sources,
    current: watch::Sender<Arc<ServerConfig>>,
    live: LiveConfig,
    /// The file as it was when it was last read.
    read: ConfigStamp,
    /// Whether there was one.
    had_file: bool,
}

/// What the service manager is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServicePhase {
    /// The settings are about to be read again.
    Begins,
    /// They were, or were refused; the server serves as before or as they say.
    Ends,
}

/// Tells whether a file is still the same, as far as can be seen from outside; `None` while there is none.
type ConfigStamp = Option<(SystemTime, u64, u64)>;

impl Reloader {
    /// Reads the settings for the first time.
    pub fn open(sources: Sources) -> Result<(Self, Resolved), Problems> {
        let read = stamp(&sources);
        let resolved = sources.resolve()?;
        let (current, live) = LiveConfig::new(resolved.config.clone());
        let had_file = resolved.file.is_some();
        Ok((Self { sources, current, live, read, had_file }, resolved))
    }

    /// The settings that are in force.
    pub fn live(&self) -> LiveConfig {
        self.live.clone()
    }

    /// Reads the settings again and puts those in force that can change while the server runs.
    pub fn reload(&mut self) {
        let path = self.sources.file().to_owned();
        self.read = stamp(&self.sources);
        let resolved = self.sources.resolve();
        if stamp(&self.sources) != self.read {
            // It is being written. When that is over, it differs from what was seen now.
            return info!(file = %path.display(), "the configuration is changing: it will be read when it has settled");
        }
        let resolved = match resolved {
            Ok(resolved) => resolved,
            Err(problems) => {
                for problem in problems.all() {
                    error!("{problem}");
                }
                return error!("the configuration is wrong: the settings stay as they were");
            }
        };
        if self.had_file && resolved.file.is_none() {
            // An empty file says that the defaults are meant; one that is gone may be on its way.
            return error!(file = %path.display(), "the configuration is gone: the settings stay as they were");
        }
        self.had_file = resolved.file.is_some();
        self.put_in_force(resolved);
    }

    fn put_in_force(&mut self, Resolved { mut config, origins, .. }: Resolved) {
        let running = self.live.now();
        let mut changed = Vec::new();
        for (key, origin) in KEYS.iter().zip(origins) {
            let (old, new) = (key.value(&running), key.value(&config));
            if old == new {
                continue;
            }
            let from = if origin == ValueOrigin::Default { "the default".into() } else { origin.to_string() };
            match key.change {
                SettingScope::Live => changed.push(format!("{} = {new}", key.name)),
                SettingScope::Restart => {
                    (key.take)(&mut config, &running);
                    let key = key.name;
                    warn!(
                        "{key} = {new} ({from}) needs a restart of the server: {old} stays in force until then"
                    );
                }
            }
        }
        let changed = if changed.is_empty() { "nothing".into() } else { changed.join(", ") };
        info!(%changed, "read the configuration again");
        if config != *running {
            // There is a receiver: `live`.
            let _ = self.current.send(Arc::new(config));
        }
    }
}

/// Reloads whenever `asked` says so or the file has changed, for ever, and tells `tell` about it.
pub async fn run(mut reloader: Reloader, mut asked: Hangups, mut tell: impl FnMut(ServicePhase)) {
    let mut seen = reloader.read;
    loop {
        let changed = async {
            loop {
                tokio::time::sleep(LOOK).await;
                let before = std::mem::replace(&mut seen, stamp(&reloader.sources));
                if seen == before && seen != reloader.read {
                    return;
                }
            }
        };
        tokio::select! {
            () = asked.next() => info!("SIGHUP"),
            () = changed => info!(file = %reloader.sources.file().display(), "the configuration has changed"),
        }
        tell(ServicePhase::Begins);
        reloader.reload();
        tell(ServicePhase::Ends);
    }
}

fn stamp(sources: &Sources) -> ConfigStamp {
    let facts = fs::metadata(sources.file()).ok()?;
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(&facts);
    #[cfg(not(unix))]
    let file = 0;
    Some((facts.modified().ok()?, facts.len(), file))
}

/// The SIGHUPs that this process gets. As long as there is none of these, one ends the process.
#[derive(Debug)]
pub struct Hangups(#[cfg(unix)] tokio::signal::unix::Signal);

impl Hangups {
    /// Those from now on.
    pub fn new() -> std::io::Result<Self> {
        #[cfg(unix)]
        return tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).map(Self);
        #[cfg(not(unix))]
        Ok(Self())
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if self.0.recv().await.is_some() {
            return;
        }
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the service manager is told frames the change: ready means that the new settings are in force.
    #[tokio::test]
    async fn a_change_of_the_file_is_told_before_and_after() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sealiftd.toml");
        fs::write(&path, "max_connections = 1\n").unwrap();
        let sources = Sources::with_environment(Some(path.clone()), []);
        let (reloader, resolved) = Reloader::open(sources).unwrap();
        assert_eq!(resolved.config.max_connections.get(), 1);
        let live = reloader.live();
        let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
        let seen = live.clone();
        let tell = move |phase| told.send((phase, seen.now().max_connections.get())).unwrap();
        let running = tokio::spawn(run(reloader, Hangups::new().unwrap(), tell));
        for (text, before, after) in [("max_connections = 2\n", 1, 2), ("max_connections = none\n", 2, 2)] {
            fs::write(&path, text).unwrap();
            assert_eq!(tells.recv().await, Some((ServicePhase::Begins, before)));
            assert_eq!(tells.recv().await, Some((ServicePhase::Ends, after)), "{text}");
        }
        assert_eq!(live.now().max_connections.get(), 2);
        running.abort();
    }
}
