//! `sealiftd`, built where the integration tests find it.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealift_server::command::main()
}
