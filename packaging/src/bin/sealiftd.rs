//! `sealiftd`: the server's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealift_server::command::main()
}
