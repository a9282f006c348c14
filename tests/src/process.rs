//! The server's program as a process: for kill -9, signals, limits, and what it prints.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use rustix::process::{Pid, Signal, kill_process};
use sealift_server::data::DataDirectory;
use tempfile::TempDir;

use crate::wait::{PATIENCE, within};
use crate::world::data_in;
use crate::{Settings, Site, eventually};

/// How a server is to be started, again and again on the same data.
#[derive(Debug, Clone)]
pub struct Launcher {
    program: PathBuf,
    folder: Arc<TempDir>,
    settings: Settings,
    listen: String,
    file_limit: Option<u64>,
    open_files: Option<u64>,
    unheard: bool,
    environment: Vec<(String, String)>,
    flags: Vec<String>,
    data: Option<PathBuf>,
}

/// A running `sealiftd serve`; it is killed when this is dropped.
#[derive(Debug)]
pub struct RealServer {
    site: Site,
    child: Child,
    stderr: PathBuf,
    /// Outlives the process.
    _folder: Arc<TempDir>,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Launcher {
    /// For `program`, on a new data directory that has been initialised.
    pub fn new(program: &str) -> Self {
        let launcher = Self::on_nothing(program);
        DataDirectory::open_or_initialise(&launcher.data(), SystemTime::now()).unwrap();
        launcher
    }

    /// For `program`, on a data directory that does not exist yet.
    pub fn on_nothing(program: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("sealift-real-").tempdir().unwrap();
        Self {
            program: program.into(),
            folder: Arc::new(folder),
            settings: Settings::new(),
            listen: "127.0.0.1:0".into(),
            file_limit: None,
            open_files: None,
            unheard: false,
            environment: Vec::new(),
            flags: Vec::new(),
            data: None,
        }
    }

    /// With other settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// On a certain address.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address.to_string();
        self
    }

    /// Without the means to write a file of more than this many blocks of 512 bytes: to a process, a full disk.
    #[must_use]
    pub fn file_limit(mut self, blocks: u64) -> Self {
        self.file_limit = Some(blocks);
        self
    }

    /// Without the means to have more than this many files and sockets open.
    #[must_use]
    pub fn open_files(mut self, limit: u64) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// Without anybody who reads what it complains, as when the program behind a pipe has ended.
    #[must_use]
    pub fn unheard(mut self) -> Self {
        self.unheard = true;
        self
    }

    /// On another data directory.
    #[must_use]
    pub fn on(mut self, data: &Path) -> Self {
        self.data = Some(data.to_owned());
        self
    }

    /// With a flag for `serve`.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.into());
        self
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// The configuration file that a server reads; it is written anew at each start.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("sealiftd.toml")
    }

    /// Where tests may put what they like.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| data_in(&self.folder))
    }

    /// Starts the server and waits until it listens.
    pub async fn start(&self) -> RealServer {
        let stderr = self.folder.path().join("stderr");
        let complaints = fs::File::create(&stderr).unwrap();
        let complaints = if self.unheard { Stdio::piped() } else { complaints.into() };
        let mut child = self.serve().stderr(complaints).spawn().unwrap();
        drop(child.stderr.take());
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            out.read_line(&mut line).map(|_| line)
        });
        let line = within(PATIENCE, "the line of a server that listens", reading).await.unwrap().unwrap();
        let address = line.trim_end().strip_prefix("listening on ").and_then(|address| address.parse().ok());
        let Some(address) = address else {
            panic!("the server printed {line:?} and complained {:?}", fs::read_to_string(&stderr))
        };
        RealServer { site: Site::new(self.data(), address), child, stderr, _folder: self.folder.clone() }
    }

    /// Starts a server that is expected to end by itself, and waits for that.
    pub async fn fail(&self) -> Ended {
        ended(self.serve()).await
    }

    /// Runs another verb on the data directory, with more arguments.
    pub async fn run(&self, verb: &str, arguments: &[&str]) -> Ended {
        let mut command = self.command(&self.program);
        command.arg(verb).args(arguments).arg("--data").arg(self.data());
        ended(command).await
    }

    fn serve(&self) -> Command {
        let config = self.configuration();
        fs::write(&config, self.settings.to_toml()).unwrap();
        // Without the trap the signal would end the process; with it, writing fails.
        let blocks = self.file_limit.map(|blocks| format!("trap '' XFSZ; ulimit -f {blocks}; "));
        let files = self.open_files.map(|limit| format!("ulimit -n {limit}; "));
        let limits: String = blocks.into_iter().chain(files).collect();
        let mut command = if limits.is_empty() {
            self.command(&self.program)
        } else {
            let mut command = self.command(Path::new("sh"));
            command.arg("-c").arg(limits + "exec \"$0\" \"$@\"").arg(&self.program);
            command
        };
        command.args(["serve", "--listen", &self.listen, "--data"]).arg(self.data());
        command.arg("--config").arg(config).args(&self.flags);
        command
    }

    fn command(&self, program: &Path) -> Command {
        crate::signals::reset_in_children();
        let mut command = Command::new(program);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("SEALIFTD_") {
                command.env_remove(variable);
            }
        }
        command.env_remove("RUST_LOG").current_dir(self.folder.path());
        command.envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl RealServer {
    /// Kills it as a crash would: it can do nothing about it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Tells it to read its settings again.
    pub fn hang_up(&self) {
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
    }

    /// Waits until it has ended by itself; returns its exit code.
    pub async fn exit_code(&mut self) -> Option<i32> {
        eventually("the server's end", || self.child.try_wait().unwrap()).await.code()
    }

    /// What it has complained so far.
    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap()
    }

    /// The most memory that it has ever held, in bytes (Linux).
    pub fn peak_memory(&self) -> u64 {
        1024 * self.status("VmHWM:")
    }

    /// The memory that it holds now, in bytes (Linux).
    pub fn memory(&self) -> u64 {
        1024 * self.status("VmRSS:")
    }

    /// The threads that it has (Linux).
    pub fn threads(&self) -> u64 {
        self.status("Threads:")
    }

    fn status(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Deref for RealServer {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

impl Drop for RealServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn ended(mut command: Command) -> Ended {
    let mut child = command.spawn().unwrap();
    let waiting = tokio::task::spawn_blocking(move || {
        let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let complaining = std::thread::spawn(move || {
            let mut text = String::new();
            err.read_to_string(&mut text).map(|_| text)
        });
        let mut stdout = String::new();
        out.read_to_string(&mut stdout).unwrap();
        let stderr = complaining.join().unwrap().unwrap();
        Ended { code: child.wait().unwrap().code(), stdout, stderr }
    });
    within(PATIENCE, "a program to end", waiting).await.unwrap()
}
