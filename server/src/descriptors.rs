//! The limit of files and sockets that the process may have open.

/// What is assumed where the system has no such limit.
const UNLIMITED: usize = 1 << 20;

/// How the open files and sockets of the process are divided, so that strangers and new clients never take those that
/// clients under way need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors(usize);

impl Descriptors {
    /// Raises the limit as far as the system lets the process, which is far beyond the usual 1024.
    pub fn raise() -> Self {
        #[cfg(unix)]
        {
            use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
            let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
            if current != maximum {
                // Some systems name a maximum that they do not grant. Then the limit stays as it is.
                let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
            }
        }
        Self::current()
    }

    /// The limit as it is.
    pub fn current() -> Self {
        #[cfg(unix)]
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        #[cfg(not(unix))]
        let limit: Option<u64> = None;
        Self(
            limit
                .and_then(|limit| usize::try_from(limit).ok())
                .map_or(UNLIMITED, |limit| limit.min(UNLIMITED)),
        )
    }

    /// The limit itself.
    pub fn limit(self) -> usize {
        self.0
    }

    /// Sockets for connections that have shown no certificate yet: a quarter.
    pub fn strangers(self) -> usize {
        (self.0 / 4).max(1)
    }

    /// Sockets for clients: a quarter. Each may have an upload and a download under way, so half is left for files.
    pub fn clients(self) -> usize {
        (self.0 / 4).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_limit_becomes_what_the_system_allows() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let lower = maximum.unwrap_or(1 << 20) - 1;
        setrlimit(Resource::Nofile, Rlimit { current: Some(lower), maximum }).unwrap();
        assert!(Descriptors::raise().limit() >= Descriptors::current().limit());
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }

    #[test]
    fn sockets_and_two_files_for_each_client_fit_into_the_limit() {
        for limit in [0, 1, 64, 200, 1024, UNLIMITED] {
            let all = Descriptors(limit);
            assert!(all.strangers() >= 1 && all.clients() >= 1);
            assert!(all.strangers() + 3 * all.clients() <= limit.max(4));
        }
    }
}
