//! `sealift`, built where the integration tests find it.

use std::process::ExitCode;

fn main() -> ExitCode {
    sealift_client::main()
}
