//! `sealiftd`: the server's program.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    sealift_server::command::Arguments::parse().run()
}
