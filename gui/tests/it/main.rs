//! The window over a real server: its screens without a window, and the window itself on a screen without a monitor.

// A failed expectation in here is a failed test; what was measured or skipped is told to whoever runs it.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod access;
mod busy;
mod canvas;
mod connection;
mod desk;
mod hands;
mod keys;
mod layout;
mod lost;
#[cfg(unix)]
mod opening;
mod pictures;
mod relocations;
mod screens;
mod servers;
mod tour;
#[cfg(target_os = "linux")]
mod window;
