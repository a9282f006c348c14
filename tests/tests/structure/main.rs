//! The structure of the workspace: which crate may use which, circles among modules, and names.

#![allow(clippy::unwrap_used)]

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use syn::visit::Visit;

/// The crates of the programs, and the crates that each may depend on.
const MAY_USE: [(&str, &[&str]); 8] = [
    ("types", &[]),
    ("protocol", &["types"]),
    ("pipeline", &["types", "protocol"]),
    ("certs", &["types", "protocol"]),
    ("server", &["types", "protocol", "pipeline", "certs"]),
    ("transfer", &["types", "protocol", "pipeline", "certs"]),
    ("client", &["types", "protocol", "certs", "transfer"]),
    ("gui", &["types", "protocol", "certs", "transfer"]),
];

/// How many modules may import each other in a circle.
const LARGEST_CIRCLE: usize = 3;

const CRATES: [&str; 8] = ["types", "protocol", "pipeline", "certs", "server", "transfer", "client", "gui"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn crates_depend_on_each_other_as_agreed() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(workspace())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    for (name, may_use) in MAY_USE {
        let package = packages.iter().find(|package| package["name"] == format!("sealift-{name}")).unwrap();
        let uses = package["dependencies"].as_array().unwrap().iter();
        let uses = uses.filter(|dependency| dependency["kind"].is_null());
        for dependency in uses.filter_map(|dependency| dependency["name"].as_str()?.strip_prefix("sealift-"))
        {
            assert!(may_use.contains(&dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn no_more_modules_import_each_other_in_a_circle_than_agreed() {
    for name in CRATES {
        for circle in imports::circles(&workspace().join(name).join("src")) {
            let size = circle.len();
            assert!(size <= LARGEST_CIRCLE, "{size} modules of {name} import each other: {circle:?}");
        }
    }
}

#[test]
fn no_two_types_have_the_same_name() {
    let mut places: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
    for name in CRATES {
        for file in imports::files(&workspace().join(name).join("src")) {
            let mut types = Types::default();
            types.visit_file(&imports::parse(&file));
            for name in types.names {
                places.entry(name).or_default().insert(file.clone());
            }
        }
    }
    places.retain(|_, files| files.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}

/// The names of the types that modules define.
#[derive(Default)]
struct Types {
    names: Vec<String>,
}

impl Visit<'_> for Types {
    fn visit_item(&mut self, item: &syn::Item) {
        let name = match item {
            syn::Item::Struct(item) => &item.ident,
            syn::Item::Enum(item) => &item.ident,
            syn::Item::Trait(item) => &item.ident,
            syn::Item::Type(item) => &item.ident,
            // Bodies of functions and tests have names of their own.
            _ => return,
        };
        self.names.push(name.to_string());
    }
}
