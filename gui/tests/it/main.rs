//! The window over a real server: its screens without a window, and the window itself on a screen without a monitor.

mod desk;
mod screens;
#[cfg(target_os = "linux")]
mod window;
