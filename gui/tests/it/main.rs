//! The window over a real server: its screens without a window, and the window itself on a screen without a monitor.

// A failed expectation in here is a failed test; what was measured or skipped is told to whoever runs it.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod desk;
mod hands;
mod screens;
mod servers;
#[cfg(target_os = "linux")]
mod window;
