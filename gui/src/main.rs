//! `sealift-gui`: the desktop client's program.
#![cfg_attr(windows, windows_subsystem = "windows")]

use std::process::ExitCode;

fn main() -> ExitCode {
    sealift_gui::main()
}
