//! The threat model and the page on reliability name what holds each promise: all of it is there.

use std::fs;
use std::path::Path;

const THREAT_MODEL: &str = include_str!("../../../docs/threat-model.md");
const RELIABILITY: &str = include_str!("../../../docs/reliability.md");

/// Where a file is that the threat model names.
fn place(name: &str) -> String {
    match name.starts_with("it/") || name.starts_with("cli/") {
        true => format!("tests/tests/{name}"),
        false => name.to_owned(),
    }
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rows = THREAT_MODEL.lines().filter(|line| line.starts_with("| ") && line.contains(".rs`"));
    let mut named = 0;
    for row in rows {
        let (mut texts, mut functions) = (String::new(), Vec::new());
        for word in row.split('`').skip(1).step_by(2) {
            if Path::new(word).extension().is_some_and(|extension| extension == "rs") {
                let path = root.join(place(word));
                texts +=
                    &fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            } else if word.contains('_') && !word.contains('.') {
                functions.push(word);
            }
        }
        for function in functions {
            assert!(texts.contains(&format!("fn {function}(")), "no {function} in the files of: {row}");
            named += 1;
        }
    }
    assert!(named > 40, "only {named} tests were found");
}

#[test]
fn every_fuzz_target_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = 0;
    for line in THREAT_MODEL.lines().filter(|line| line.contains("fuzz target")) {
        let after = line.rsplit_once("fuzz target").map_or("", |(_, after)| after);
        for target in after.split('`').skip(1).step_by(2) {
            let path = root.join(format!("fuzz/fuzz_targets/{target}.rs"));
            assert!(path.is_file(), "there is no fuzz target {target}: {line}");
            named += 1;
        }
    }
    assert!(named >= 3, "only {named} fuzz targets were found");
}

#[test]
fn every_program_and_test_that_the_page_on_reliability_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut named = 0;
    for word in RELIABILITY.split('`').skip(1).step_by(2) {
        let path = match Path::new(word).extension().and_then(|extension| extension.to_str()) {
            Some("rs") => root.join(place(word)),
            Some("py") if !word.contains(' ') => root.join("tests/reliability").join(word),
            _ => continue,
        };
        assert!(path.is_file(), "{} is named and does not exist", path.display());
        named += 1;
    }
    assert!(named > 10, "only {named} were found");
}
