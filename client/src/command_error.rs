//! Failures of a command whose output is uploaded.

use std::io;
use std::process::ExitStatus;

/// Why the output of a command is not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// There is no such program, or it may not be run.
    #[error("{0} cannot be run: {1}")]
    NotRun(String, String),
    /// It ended with a failure.
    #[error("{0} did not succeed ({1}), so nothing is stored")]
    Failed(String, ExitStatus),
}

impl CommandError {
    /// The one behind an error of reading.
    pub(crate) fn behind(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::NotRun(..) => {
                "check the command's name; it is run without a shell: for a pipe or an alias write -- sh -c '...'"
            }
            Self::Failed(..) => "run the command by itself to see why",
        }
    }
}
