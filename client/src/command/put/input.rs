//! What `put` stores that is no file: standard input, or what a command prints.

use std::ffi::OsString;
use std::io::{self, Cursor, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use sealift_protocol::message::EntryKind;
use sealift_transfer::remote;
use sealift_types::EntryPath;
use tokio::task::spawn_blocking;

use crate::command_error::CommandError;
use crate::failure::{Exit, Failure};
use crate::session::ClientSession;
use crate::text;

/// The output of a command. It ends with an error unless the command succeeds, so that nothing is stored then.
#[derive(Debug)]
pub(super) struct CommandOutput {
    command: Command,
    name: String,
    progress: CommandProgress,
}

/// How far a command has come.
#[derive(Debug)]
enum CommandProgress {
    /// Nobody has read yet.
    Waiting,
    Running(Child, ChildStdout),
    Succeeded,
    /// It is not run once more, however often somebody reads: its output would stand behind what has come.
    Failed(io::ErrorKind, String),
}

impl CommandOutput {
    /// What `program` prints when it is called with these arguments. It is called when the first byte is read, and reads
    /// what this program was given as standard input.
    pub(super) fn of(program: OsString, arguments: impl IntoIterator<Item = OsString>) -> Self {
        let name = program.to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::inherit()).stdout(Stdio::piped());
        Self { command, name, progress: CommandProgress::Waiting }
    }

    fn start(&mut self) -> io::Result<(Child, ChildStdout)> {
        let started = self.command.spawn();
        let mut child = started.map_err(|error| {
            let reason = sealift_transfer::error::plain(&error);
            io::Error::new(error.kind(), CommandError::NotRun(self.name.clone(), reason))
        })?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("the command has no output"))?;
        Ok((child, output))
    }

    /// Reads, and ends the command where that fails.
    fn read_on(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.progress, CommandProgress::Waiting) {
            let (child, output) = self.start()?;
            self.progress = CommandProgress::Running(child, output);
        }
        let (child, output) = match &mut self.progress {
            CommandProgress::Running(child, output) => (child, output),
            CommandProgress::Failed(kind, reason) => return Err(io::Error::new(*kind, reason.clone())),
            CommandProgress::Waiting | CommandProgress::Succeeded => return Ok(0),
        };
        let count = output.read(buffer)?;
        if count > 0 {
            return Ok(count);
        }
        let status = child.wait()?;
        if !status.success() {
            return Err(io::Error::other(CommandError::Failed(self.name.clone(), status)));
        }
        self.progress = CommandProgress::Succeeded;
        Ok(0)
    }

    /// Ends a command that runs still, like one before a closed pipe.
    fn end(&mut self) {
        if let CommandProgress::Running(mut child, output) =
            std::mem::replace(&mut self.progress, CommandProgress::Succeeded)
        {
            drop(output);
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Read for CommandOutput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.read_on(buffer);
        if let Err(error) = &read
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.end();
            self.progress = CommandProgress::Failed(error.kind(), error.to_string());
        }
        read
    }
}

impl Drop for CommandOutput {
    fn drop(&mut self) {
        // Nobody reads it any more.
        self.end();
    }
}

/// Standard input. An empty one is often what a command left that failed, and does not replace a file that is not empty,
/// unless that is meant.
pub(super) async fn standard_input(
    session: &mut ClientSession,
    to: Option<&EntryPath>,
    allow_empty: bool,
) -> Result<Box<dyn Read + Send>, Failure> {
    let first = spawn_blocking(|| {
        let mut first = Vec::new();
        io::stdin().take(1).read_to_end(&mut first).map(|_| first)
    });
    let first = match first.await.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
        Ok(first) => first,
        // Whoever reads next gets the error once more, and tells it.
        Err(_) => return Ok(Box::new(io::stdin())),
    };
    if let Some(to) = to.filter(|_| first.is_empty() && !allow_empty) {
        refuse_empty(session, to).await?;
    }
    Ok(Box::new(Cursor::new(first).chain(io::stdin())))
}

async fn refuse_empty(session: &mut ClientSession, to: &EntryPath) -> Result<(), Failure> {
    let connection = session.client()?.connection().await?;
    let mut size = 0;
    remote::info(connection, std::slice::from_ref(to), |_, described| {
        // What is not there, or cannot be looked at, is for the put to find out.
        if let Ok(described) = described
            && described.kind == EntryKind::File
        {
            size = described.size.unwrap_or(0);
        }
    })
    .await?;
    if size == 0 {
        return Ok(());
    }
    let message = format!(
        "standard input is empty, and {to} has {} on the server: nothing was stored",
        text::size(size)
    );
    Err(Failure::new(Exit::Other, "empty", message).hint(
        "if a command before the pipe failed, mend that; --stdin-from-command runs it and stores only what succeeded; \
         --allow-empty stores an empty file",
    ))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(script: &str) -> CommandOutput {
        CommandOutput::of("sh".into(), ["-c".into(), script.into()])
    }

    fn all(mut output: CommandOutput) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        output.read_to_end(&mut bytes).map(|_| bytes)
    }

    #[test]
    fn only_the_output_of_a_command_that_succeeds_has_an_end() {
        assert_eq!(all(shell("printf abc")).unwrap(), b"abc");
        assert_eq!(all(shell("true")).unwrap(), b"");
        for script in ["exit 3", "printf abc; exit 3", "printf abc; kill -9 $$"] {
            let error = all(shell(script)).unwrap_err().to_string();
            assert!(error.contains("sh did not succeed"), "{error}");
        }
        let error = all(CommandOutput::of("no-such-command".into(), [])).unwrap_err().to_string();
        assert!(error.contains("no-such-command cannot be run: No such file"), "{error}");
    }

    /// Its second output would be taken for what follows the first.
    #[test]
    fn a_command_that_failed_is_not_run_again() {
        let directory = tempfile::tempdir().unwrap();
        let runs = directory.path().join("runs");
        let mut output = shell(&format!("echo run >>'{}'; printf abc; exit 3", runs.display()));
        let mut bytes = Vec::new();
        for _ in 0..3 {
            let error = output.read_to_end(&mut bytes).unwrap_err().to_string();
            assert!(error.contains("sh did not succeed"), "{error}");
        }
        assert_eq!(
            (bytes.as_slice(), std::fs::read_to_string(runs).unwrap().as_str()),
            (&b"abc"[..], "run\n")
        );
        let mut none = CommandOutput::of("no-such-command".into(), []);
        for _ in 0..2 {
            assert!(none.read(&mut [0; 10]).unwrap_err().to_string().contains("cannot be run"));
        }
    }

    #[test]
    fn a_command_that_nobody_reads_any_more_ends() {
        let mut output = shell("while :; do echo x; done");
        output.read_exact(&mut [0; 10]).unwrap();
        // Waits for its end.
        drop(output);
        // One that was never read is not run.
        drop(shell("touch /no/such/place; exit 1"));
    }
}
