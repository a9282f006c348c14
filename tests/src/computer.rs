//! The client's program, as a person uses it on a computer of their own.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::wait::{PATIENCE, within};
use crate::{Site, eventually};

/// A computer with a configuration and a working directory of its own, and nothing of this one's environment.
#[derive(Debug)]
pub struct Computer {
    program: PathBuf,
    folder: TempDir,
}

/// The program with its arguments, about to be started.
#[derive(Debug)]
pub struct Call {
    command: Command,
    input: Option<Vec<u8>>,
}

/// The program under way; it is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Standard input, as long as it is open.
    pub input: Option<ChildStdin>,
    out: Stream,
    err: Stream,
}

/// The program after its end.
pub struct Ran {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it said beside that.
    pub stderr: String,
}

impl Computer {
    /// A computer that has joined nobody yet, with `program` installed.
    pub fn new(program: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("sealift-computer-").tempdir().unwrap();
        // By this name it calls itself in what it says.
        let installed = folder.path().join("sealift");
        symlink(program, &installed).unwrap();
        let computer = Self { program: installed, folder };
        fs::create_dir(computer.desk()).unwrap();
        computer
    }

    /// One that has joined `site` as `name`.
    pub async fn joined(program: &str, site: &Site, name: &str) -> Self {
        let computer = Self::new(program);
        computer.run(["join", &site.invite(name).to_string()]).await.ok();
        computer
    }

    /// The working directory.
    pub fn desk(&self) -> PathBuf {
        self.folder.path().join("desk")
    }

    /// The directory of configuration.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join("configuration")
    }

    /// The directory of a profile.
    pub fn profile(&self, name: &str) -> PathBuf {
        self.configuration().join("profiles").join(name)
    }

    /// Writes a file into the working directory, and the directories that lead to it.
    pub fn write(&self, file: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.desk().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Reads a file of the working directory.
    #[track_caller]
    pub fn read(&self, file: impl AsRef<Path>) -> Vec<u8> {
        let path = self.desk().join(file);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Everything below the working directory, sorted, directories with a slash.
    pub fn files(&self) -> Vec<String> {
        let (mut found, mut directories) = (Vec::new(), vec![self.desk()]);
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.desk()).unwrap().to_string_lossy().into_owned();
                if path.is_dir() {
                    found.push(name + "/");
                    directories.push(path);
                } else {
                    found.push(name);
                }
            }
        }
        found.sort();
        found
    }

    /// Waits until so many bytes of a download are there.
    pub async fn part_of(&self, bytes: u64) {
        let long = |name: &String| fs::metadata(self.desk().join(name)).is_ok_and(|file| file.len() >= bytes);
        let part = || self.files().iter().any(|name| name.ends_with(".sealift-part") && long(name));
        eventually(&format!("{bytes} bytes of a download"), || part().then_some(())).await;
    }

    /// The same without downloads that are not complete.
    pub fn finished_files(&self) -> Vec<String> {
        self.files().into_iter().filter(|name| !name.ends_with(".sealift-part")).collect()
    }

    /// The program with these arguments.
    pub fn call<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Call {
        let mut command = self.bare(&self.program);
        command.args(arguments);
        Call { command, input: None }
    }

    /// The same, unable to write a file of more than this many blocks of 512 bytes.
    pub fn call_limited<A: AsRef<OsStr>>(&self, blocks: u64, arguments: impl IntoIterator<Item = A>) -> Call {
        let mut command = self.bare(Path::new("sh"));
        // Without the trap the signal would end the process; with it, writing fails.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(script).arg(&self.program).args(arguments);
        Call { command, input: None }
    }

    /// Another program on this computer, with its configuration.
    pub fn call_other<A: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = A>) -> Call {
        let mut command = self.bare(Path::new(program));
        command.args(arguments);
        Call { command, input: None }
    }

    /// Runs the program with these arguments.
    pub async fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        self.call(arguments).run().await
    }

    fn bare(&self, program: &Path) -> Command {
        crate::signals::reset_in_children();
        let mut command = Command::new(program);
        command.env_clear().current_dir(self.desk());
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.env("HOME", self.folder.path()).env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
        command.env("SEALIFT_CONFIG_DIR", self.configuration());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Call {
    /// With a variable of the environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With these bytes in standard input.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// With standard output going to a file.
    #[must_use]
    pub fn output_to(mut self, file: File) -> Self {
        self.command.stdout(file);
        self
    }

    /// Runs it to its end.
    pub async fn run(self) -> Ran {
        self.start().ended().await
    }

    /// Starts it.
    #[track_caller]
    pub fn start(mut self) -> Running {
        if self.input.is_some() {
            self.command.stdin(Stdio::piped());
        }
        let mut child = self.spawn();
        if let (Some(bytes), Some(mut input)) = (self.input, child.stdin.take()) {
            // Whoever does not want to read it all need not.
            std::thread::spawn(move || input.write_all(&bytes));
        }
        Running::of(child)
    }

    /// Starts it with a standard input that stays open.
    #[track_caller]
    pub fn start_with_open_input(mut self) -> Running {
        self.command.stdin(Stdio::piped());
        let mut running = Running::of(self.spawn());
        running.input = running.child.stdin.take();
        running
    }

    /// Starts it on a terminal, which shows standard output and standard error as one.
    #[track_caller]
    pub fn start_on_terminal(mut self) -> Running {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let path = Path::new(OsStr::from_bytes(name.as_bytes()));
        let screen = File::options().read(true).write(true).open(path).unwrap();
        self.command.env("TERM", "xterm").stdin(Stdio::piped());
        self.command.stdout(screen.try_clone().unwrap()).stderr(screen);
        let mut child = self.spawn();
        let input = child.stdin.take();
        // The terminal hangs up when nobody has it open for writing any more: neither the program nor its command.
        drop(self);
        Running { child, input, out: Stream::of(Some(File::from(terminal))), err: Stream::of(None::<File>) }
    }

    #[track_caller]
    fn spawn(&mut self) -> Child {
        let program = self.command.get_program().to_owned();
        self.command.spawn().unwrap_or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                panic!("{0} is not installed here: install the package {0}", program.display())
            }
            _ => panic!("{}: {error}", program.display()),
        })
    }
}

impl Running {
    fn of(mut child: Child) -> Self {
        let (out, err) = (Stream::of(child.stdout.take()), Stream::of(child.stderr.take()));
        Self { child, input: None, out, err }
    }

    /// What it has printed so far.
    pub fn printed(&self) -> String {
        String::from_utf8_lossy(&self.out.bytes()).into_owned()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Presses Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Waits until it has ended.
    pub async fn ended(mut self) -> Ran {
        for stream in [&mut self.out, &mut self.err] {
            if let Some(end) = stream.end.take() {
                within(PATIENCE, "the end of a program's output", end).await.unwrap();
            }
        }
        // Not long any more: it has closed its output.
        let status = eventually("the end of a program", || self.child.try_wait().unwrap()).await;
        Ran {
            code: status.code(),
            stdout: self.out.bytes(),
            stderr: String::from_utf8_lossy(&self.err.bytes()).into_owned(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What comes out of a program.
#[derive(Debug)]
struct Stream {
    bytes: Arc<Mutex<Vec<u8>>>,
    end: Option<oneshot::Receiver<()>>,
}

impl Stream {
    fn of(source: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::default();
        let Some(mut source) = source else { return Self { bytes, end: None } };
        let (ended, end) = oneshot::channel();
        let sink = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            // A terminal that nobody writes to any more gives an error instead of an end.
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                sink.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..count]);
            }
            let _ = ended.send(());
        });
        Self { bytes, end: Some(end) }
    }

    fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Ran {
    /// Checks that it was successful.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exited(0)
    }

    /// Checks its exit code.
    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Checks its exit code, and that everything that it says is wrong comes with what to do about it.
    #[track_caller]
    pub fn refused(self, code: i32) -> Self {
        let ran = self.exited(code);
        let lines: Vec<_> = ran.stderr.lines().collect();
        let mut told = 0;
        for (number, line) in lines.iter().enumerate() {
            let has_mend = if let Some(sentence) = line.strip_prefix("sealift: ") {
                sentence.contains(": ")
                    || lines.get(number + 1).is_some_and(|next| next.starts_with("  hint: "))
            } else if line.starts_with('{') {
                let error: Value = serde_json::from_str(line).unwrap();
                assert_eq!((&error["type"], error["exit"].is_u64()), (&"error".into(), true), "{error}");
                error["message"].as_str().unwrap().contains(": ") || error["hint"].is_string()
            } else {
                continue;
            };
            assert!(has_mend, "this says what is wrong and not what to do: {line}");
            told += 1;
        }
        assert!(told > 0, "it does not say what is wrong: {ran:?}");
        ran
    }

    /// What it printed, as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("what it printed is not UTF-8")
    }

    /// What it printed, as JSON lines.
    #[track_caller]
    pub fn objects(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.text().lines().map(parse).collect()
    }

    /// The one JSON line of a type.
    #[track_caller]
    pub fn object(&self, kind: &str) -> Value {
        let mut found = self.objects().into_iter().filter(|object| object["type"] == kind);
        match (found.next(), found.next()) {
            (Some(object), None) => object,
            other => panic!("one {kind} was expected: {other:?} in {self:?}"),
        }
    }

    /// All of it, as a person sees it.
    pub fn shown(&self) -> String {
        let code = self.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        format!("{}{}exit {code}", String::from_utf8_lossy(&self.stdout), self.stderr)
    }
}

impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut stdout = String::from_utf8_lossy(&self.stdout).into_owned();
        if stdout.len() > 2000 {
            stdout = format!("({} bytes)", self.stdout.len());
        }
        f.debug_struct("Ran")
            .field("code", &self.code)
            .field("stdout", &stdout)
            .field("stderr", &self.stderr)
            .finish()
    }
}
