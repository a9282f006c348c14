//! `sealiftd`, built where the integration tests find it.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    sealift_server::command::Arguments::parse().run()
}
