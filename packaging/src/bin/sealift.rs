//! `sealift`: the client's program.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealift_client::main()
}
