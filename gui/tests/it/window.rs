//! The real window on a screen without a monitor (Xvfb), with a real keyboard and mouse (xdotool, XTest).
//!
//! Pictures of what was seen stay in `target/tmp/window`.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sealift_tests::{PATIENCE, World};

/// A screen without a monitor; it goes when this is dropped.
struct Screen {
    server: Child,
    display: String,
}

impl Screen {
    /// `None` where the programs for it are missing.
    fn start() -> Option<Self> {
        for tool in ["Xvfb", "xdotool", "import"] {
            let found = Command::new("sh").args(["-c", &format!("command -v {tool}")]).output().unwrap();
            if !found.status.success() {
                eprintln!("skipped: {tool} is not installed here");
                return None;
            }
        }
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let display = format!(":{}", line.trim());
        let screen = Self { server, display };
        wait("the screen", || !screen.run("xdotool", &["getdisplaygeometry"]).is_empty());
        Some(screen)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).env("DISPLAY", &self.display).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn keys(&self, keys: &[&str]) {
        self.run("xdotool", &[&["key", "--clearmodifiers"], keys].concat());
    }

    fn picture(&self, name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("window");
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        self.run("import", &["-window", "root", path.to_str().unwrap()]);
        path
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Killed, it would leave its socket behind for the next one to stumble over.
        let _ = Command::new("kill").arg(self.server.id().to_string()).status();
        let _ = self.server.wait();
    }
}

/// The program in its window; it is killed when this is dropped.
struct Window(Child);

impl Drop for Window {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(what: &str, mut look: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !look() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The clock ticks of the CPU that a process has used.
fn ticks(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[tokio::test]
async fn a_person_joins_uploads_and_closes_the_window() {
    let Some(screen) = Screen::start() else { return };
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("configuration");
    let file = folder.path().join("hello.txt");
    std::fs::write(&file, "hello from a real window").unwrap();
    let begun = Instant::now();
    let child = Command::new(env!("CARGO_BIN_EXE_sealift-gui"))
        .arg(world.invite("alice").to_string())
        .env("DISPLAY", &screen.display)
        .env_remove("WAYLAND_DISPLAY")
        .env("SEALIFT_CONFIG_DIR", &configuration)
        .env("HOME", folder.path())
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .spawn()
        .unwrap();
    let mut window = Window(child);
    let id = window.0.id();
    wait("the window", || !screen.run("xdotool", &["search", "--name", "^Sealift$"]).is_empty());
    println!("the window was there after {:?}", begun.elapsed());
    let found = screen.run("xdotool", &["search", "--name", "^Sealift$"]);
    let number = found.lines().last().unwrap().to_owned();
    wait("the profile", || configuration.join("profiles/default/profile.toml").exists());
    screen.run("xdotool", &["windowfocus", "--sync", &number]);
    // The own space has no row before anything is in it; the directory answers all the same.
    let queue = configuration.join("gui/queue.jsonl");
    let stored = || {
        let count = "SELECT count(*) FROM entries WHERE name = 'hello.txt'";
        world.catalog().query_row(count, [], |row| row.get::<_, i64>(0)).unwrap() > 0
    };
    let mut attempt = 0;
    wait("the upload", || {
        if stored() {
            return true;
        }
        // A busy machine draws late, and what is typed before the field is there goes nowhere: each attempt takes longer.
        attempt += 1;
        let pause = || std::thread::sleep(Duration::from_millis(150 * attempt));
        screen.run("xdotool", &["windowfocus", &number]);
        screen.keys(&["Escape"]);
        pause();
        screen.keys(&["ctrl+u"]);
        pause();
        screen.run("xdotool", &["type", "--delay", "5", file.to_str().unwrap()]);
        pause();
        screen.keys(&["Return"]);
        let begun = Instant::now();
        while !stored() && begun.elapsed() < Duration::from_secs(3) {
            std::thread::sleep(Duration::from_millis(20));
        }
        stored()
    });
    screen.keys(&["Down"]);
    std::thread::sleep(Duration::from_millis(800));
    screen.picture("browse.png");

    // Nothing happens, so nothing is to be done: the notice is gone after six seconds, and then it is quiet.
    std::thread::sleep(Duration::from_secs(8));
    let before = ticks(id);
    std::thread::sleep(Duration::from_secs(2));
    let idle = ticks(id) - before;
    println!("idle for 2 s: {idle} ticks of CPU");
    assert!(idle <= 4, "an idle window draws nothing, and took {idle} ticks in two seconds");

    screen.keys(&["ctrl+q"]);
    wait("the end", || window.0.try_wait().unwrap().is_some());
    assert!(queue.exists(), "the queue is saved");
    world.stop().await;
}
