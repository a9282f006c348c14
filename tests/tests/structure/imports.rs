//! Which module of a crate imports which, as its source says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// A module, by its path below the crate's root.
pub(crate) type ModulePath = Vec<String>;

/// The files of a crate, without those that only test.
pub(crate) fn files(source: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![source.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            if stem == "tests" || stem.ends_with("_tests") || stem == "bin" {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn parse(file: &Path) -> syn::File {
    syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap()
}

/// The circles of a crate: sets of modules each of which imports all the others, directly or over others.
pub(crate) fn circles(source: &Path) -> Vec<BTreeSet<String>> {
    let mut modules = BTreeMap::new();
    for file in files(source) {
        let mut path: ModulePath = file
            .strip_prefix(source)
            .unwrap()
            .with_extension("")
            .iter()
            .map(|part| part.to_str().unwrap().to_owned())
            .collect();
        if matches!(path.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            path.pop();
        }
        let mut names = Names::default();
        names.visit_file(&parse(&file));
        modules.insert(path, names);
    }
    let graph = Graph { modules };
    let edges: BTreeMap<_, _> = graph.modules.keys().map(|module| (module, graph.imports(module))).collect();
    let reach: BTreeMap<_, _> = edges.keys().map(|module| (*module, reachable(&edges, module))).collect();
    let mut circles = BTreeSet::new();
    for (module, others) in &reach {
        let circle: BTreeSet<_> = others
            .iter()
            .filter(|other| reach[other].contains(*module))
            .map(|other| other.join("::"))
            .collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reachable(edges: &BTreeMap<&ModulePath, BTreeSet<ModulePath>>, from: &ModulePath) -> BTreeSet<ModulePath> {
    let (mut seen, mut ahead) = (BTreeSet::new(), vec![from]);
    while let Some(module) = ahead.pop() {
        for next in &edges[module] {
            if seen.insert(next.clone()) {
                ahead.push(next);
            }
        }
    }
    seen
}

/// The names that a module uses.
#[derive(Default)]
struct Names {
    /// What `use` brings, and under which name.
    used: BTreeMap<String, ModulePath>,
    /// What `pub use` hands on.
    exported: BTreeMap<String, ModulePath>,
    /// Paths in the code.
    paths: BTreeSet<ModulePath>,
}

impl Names {
    fn flatten(&mut self, tree: &syn::UseTree, before: &[String], is_exported: bool) {
        let mut path = before.to_vec();
        match tree {
            syn::UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.flatten(&tree.tree, &path, is_exported);
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.flatten(tree, before, is_exported));
            }
            syn::UseTree::Name(name) => {
                let name = name.ident.to_string();
                if name != "self" {
                    path.push(name);
                }
                let name = path.last().unwrap().clone();
                self.bring(name, path, is_exported);
            }
            syn::UseTree::Rename(rename) => {
                path.push(rename.ident.to_string());
                self.bring(rename.rename.to_string(), path, is_exported);
            }
            syn::UseTree::Glob(_) => self.bring(format!("* of {path:?}"), path, is_exported),
        }
    }

    fn bring(&mut self, name: String, path: ModulePath, is_exported: bool) {
        if is_exported {
            self.exported.insert(name.clone(), path.clone());
        }
        self.used.insert(name, path);
    }
}

impl<'a> Visit<'a> for Names {
    fn visit_item(&mut self, item: &'a syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        let is_for_tests = attributes.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.parse_args::<syn::Ident>().is_ok_and(|condition| condition == "test")
        });
        if !is_for_tests {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        let is_exported = !matches!(item.vis, syn::Visibility::Inherited);
        self.flatten(&item.tree, &[], is_exported);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.paths.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

struct Graph {
    modules: BTreeMap<ModulePath, Names>,
}

impl Graph {
    /// The modules whose names a module uses. A module that only hands names on does not import them.
    fn imports(&self, module: &ModulePath) -> BTreeSet<ModulePath> {
        let names = &self.modules[module];
        let used = names.used.iter().filter(|(name, _)| !names.exported.contains_key(*name));
        let used = used.filter_map(|(_, path)| self.absolute(module, path));
        let in_code = names.paths.iter().filter_map(|path| match names.used.get(&path[0]) {
            Some(brought) if path.len() > 1 => {
                let whole: Vec<_> = brought.iter().chain(&path[1..]).cloned().collect();
                self.absolute(module, &whole)
            }
            Some(_) => None,
            None if path.len() > 1 => self.absolute(module, path),
            None => None,
        });
        let mut found: BTreeSet<_> = used.chain(in_code).filter_map(|path| self.resolve(&path, 0)).collect();
        found.remove(module);
        found
    }

    /// A path from the crate's root; `None` for paths that lead to other crates.
    fn absolute(&self, module: &ModulePath, path: &[String]) -> Option<ModulePath> {
        let mut base = module.clone();
        let mut rest = path;
        match path[0].as_str() {
            "crate" => (base, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|part| part == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            first => {
                base.push(first.to_owned());
                let is_child = self.modules.contains_key(&base);
                base.pop();
                if !is_child {
                    return None;
                }
            }
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// The module that defines what a path means, behind everything that hands it on.
    fn resolve(&self, path: &[String], depth: usize) -> Option<ModulePath> {
        let length = (0..=path.len()).rev().find(|length| self.modules.contains_key(&path[..*length]))?;
        let (module, rest) = (path[..length].to_vec(), &path[length..]);
        let handed_on = rest.first().and_then(|name| self.modules[&module].exported.get(name));
        match handed_on.and_then(|target| self.absolute(&module, target)) {
            Some(mut target) if depth < 8 => {
                target.extend_from_slice(&rest[1..]);
                self.resolve(&target, depth + 1)
            }
            _ => Some(module),
        }
    }
}
