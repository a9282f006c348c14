//! Runs every input that is kept once: `cargo test --manifest-path fuzz/Cargo.toml`.

use std::fs;
use std::path::Path;

use sealift_fuzz::TARGETS;

#[test]
fn every_kept_input_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, check) in TARGETS {
        let inputs =
            fs::read_dir(corpus.join(name)).unwrap_or_else(|error| panic!("no corpus of {name}: {error}"));
        let mut count = 0;
        for input in inputs {
            let path = input.unwrap().path();
            // Which one it was that failed.
            println!("{}", path.display());
            check(&fs::read(path).unwrap());
            count += 1;
        }
        assert!(count > 0, "{name} has no input");
    }
}

#[test]
fn there_is_a_target_for_each_check() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let mut targets: Vec<_> =
        manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")).collect();
    targets.sort_unstable();
    let names = targets.iter().map(|target| target.trim_end_matches(".rs\""));
    assert!(names.eq(TARGETS.iter().map(|(name, _)| *name)));
}
