//! Large trees, changed a few entries at a time.

use proptest::prelude::*;

use crate::store::objects;

use super::super::unlinked::{SpaceRelabelling, doomed, reclaim};
use super::*;

impl Tree {
    /// Makes a tree with `files` files in directories of five, with some equal contents, and directories in directories.
    fn plant(&self, path: &str, files: usize) {
        for number in 0..files {
            let directory = format!("{path}/{}", "s/".repeat(number / 5 % 4));
            self.put(&format!("{directory}{}/f{number}", number / 5), &format!("{}", number % 60)).unwrap();
        }
        self.ln(&format!("{path}/link"), "f0").unwrap();
        self.mkdir(&format!("{path}/empty"), Some(-1)).unwrap();
    }

    /// Does all background work, so many entries at a time; `between` runs between the slices.
    fn settle(&self, rows: usize, mut between: impl FnMut()) {
        while !reclaim(&self.connection, &self.building, &mut WorkSlice::of(rows)).unwrap() {
            between();
        }
        while let Some(mut relabelling) = SpaceRelabelling::next(&self.connection).unwrap() {
            while !relabelling.go_on(&self.connection, &mut WorkSlice::of(rows)).unwrap() {
                between();
            }
        }
    }

    /// Checks what holds at any time: each content has a name once the collector has looked, and each name a content.
    fn sound(&self) {
        while objects::are_released(&self.connection).unwrap() {
            objects::drop_released(&self.connection).unwrap();
        }
        let numbers = |sql: &str| -> i64 { self.connection.query_row(sql, [], |row| row.get(0)).unwrap() };
        assert_eq!(numbers("SELECT count(*) FROM pragma_foreign_key_check"), 0);
        let unnamed = "SELECT count(*) FROM objects WHERE id NOT IN
            (SELECT object FROM entries WHERE object IS NOT NULL)";
        assert_eq!(numbers(unnamed), 0, "contents without a name");
        let sizes = "SELECT count(*) FROM entries JOIN objects ON objects.id = object
            WHERE entries.size <> objects.size";
        assert_eq!(numbers(sizes), 0);
    }

    /// Checks what holds when there is no background work: every entry can be reached, and has the space it lies in.
    fn settled(&self) {
        self.sound();
        let reachable: i64 = self
            .connection
            .query_row(
                "WITH RECURSIVE tree (id, space) AS (
                     SELECT id, -parent FROM entries WHERE parent < 0
                     UNION ALL SELECT entries.id, tree.space FROM tree JOIN entries ON parent = tree.id)
                 SELECT count(*) FROM tree JOIN entries USING (id, space)",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(reachable, count(&self.connection, "entries"));
        assert_eq!(count(&self.connection, "relabels"), 0);
    }
}

#[test]
fn a_large_tree_goes_at_once_and_is_reclaimed_in_slices() {
    let tree = Tree::new();
    tree.plant("keep", 10);
    let before = (count(&tree.connection, "entries"), count(&tree.connection, "objects"));
    tree.plant("large", 100);
    tree.put("large/here", "only here").unwrap();
    let full = count(&tree.connection, "entries");
    let changed = tree.connection.total_changes();
    tree.rm_all("large").unwrap();
    assert_eq!(tree.connection.total_changes() - changed, 1, "one row");
    assert_eq!(code(tree.rm_all("large")), ErrorCode::NotFound);
    assert_eq!(count(&tree.connection, "entries"), full);
    // The name is free, and what is put there meanwhile stays.
    tree.put("large/new", "new").unwrap();
    let mut last = full + 2;
    tree.settle(7, || {
        tree.sound();
        let now = count(&tree.connection, "entries");
        assert!(last - now <= 7 && now < last, "{last} entries, then {now}");
        last = now;
        assert_eq!(tree.read("alice", "large/new").as_deref(), Some("new"));
    });
    tree.settled();
    assert_eq!(count(&tree.connection, "entries"), before.0 + 2);
    assert_eq!(count(&tree.connection, "objects"), before.1 + 1);
}

#[test]
fn a_large_copy_is_seen_as_a_whole_or_not_at_all() {
    let tree = Tree::new();
    tree.plant("large", 100);
    let (original, changed) = (tree.all("alice", "large"), tree.connection.total_changes());
    let (from, to) = (tree.permit("alice"), tree.permit("shared"));
    let (source, target) = (names("large"), names("new/copy"));
    let (from, to) = ((&from, &source[..]), (&to, &target[..]));
    let copied = copy(&tree.connection, from, to, tree.identity, 9).unwrap();
    assert!(matches!(copied, TreeCopied::Large) && tree.connection.total_changes() == changed);
    let mut copying = TreeCopy::begin(&tree.connection, &tree.building, from, to, tree.identity, 9).unwrap();
    let mut slices = 0;
    while copying.go_on(&tree.connection, from, &mut WorkSlice::of(7)).unwrap() == CopyProgress::Growing {
        slices += 1;
        assert!(tree.all("shared", "").is_empty());
        // Others change what they like, and the background takes nothing away.
        tree.put(&format!("other/{slices}"), "x").unwrap();
        assert!(reclaim(&tree.connection, &tree.building, &mut WorkSlice::of(100)).unwrap());
        tree.sound();
    }
    assert!(slices * 7 > 100, "{slices}");
    copying.link(&tree.connection, from, to).unwrap();
    drop(copying);
    tree.settled();
    assert_eq!(tree.all("shared", "new/copy"), original);
}

#[test]
fn a_copy_that_is_given_up_or_found_at_a_start_leaves_nothing() {
    let tree = Tree::new();
    tree.plant("large", 100);
    let before = (count(&tree.connection, "entries"), count(&tree.connection, "objects"));
    let permit = tree.permit("alice");
    let (source, target) = (names("large"), names("copy"));
    let (from, to) = ((&permit, &source[..]), (&permit, &target[..]));
    for restart in [false, true] {
        let mut copying =
            TreeCopy::begin(&tree.connection, &tree.building, from, to, tree.identity, 9).unwrap();
        copying.go_on(&tree.connection, from, &mut WorkSlice::of(50)).unwrap();
        assert_eq!(doomed(&tree.connection, &tree.building).unwrap(), None);
        if restart {
            // A new process knows of no copies.
            assert!(doomed(&tree.connection, &CopiesInProgress::default()).unwrap().is_some());
        }
        drop(copying);
        tree.settle(7, || tree.sound());
        tree.settled();
        assert_eq!((count(&tree.connection, "entries"), count(&tree.connection, "objects")), before);
    }
}

#[test]
fn a_copy_ends_when_its_source_goes_or_its_place_is_taken() {
    let tree = Tree::new();
    tree.plant("large", 100);
    let permit = tree.permit("alice");
    let (source, target) = (names("large"), names("copy"));
    let (from, to) = ((&permit, &source[..]), (&permit, &target[..]));
    let begin = || TreeCopy::begin(&tree.connection, &tree.building, from, to, tree.identity, 9).unwrap();
    let mut copying = begin();
    while copying.go_on(&tree.connection, from, &mut WorkSlice::of(20)).unwrap() == CopyProgress::Growing {}
    tree.put("copy", "in the way").unwrap();
    assert_eq!(code(copying.link(&tree.connection, from, to)), ErrorCode::Exists);
    drop(copying);
    tree.rm("copy").unwrap();
    let mut copying = begin();
    copying.go_on(&tree.connection, from, &mut WorkSlice::of(20)).unwrap();
    tree.mv("large", "alice", "elsewhere").unwrap();
    assert_eq!(copying.go_on(&tree.connection, from, &mut WorkSlice::of(20)).unwrap(), CopyProgress::Gone);
    drop(copying);
    tree.settle(1000, || {});
    tree.settled();
}

#[test]
fn a_large_tree_moves_to_another_space_by_one_row() {
    let tree = Tree::new();
    tree.plant("large", 100);
    tree.mkdir("large/inner/deep", None).unwrap();
    tree.plant("large/inner/deep", 50);
    let original = tree.all("alice", "large");
    let changed = tree.connection.total_changes();
    tree.mv("large", "shared", "l").unwrap();
    assert_eq!(tree.connection.total_changes() - changed, 2, "its row, and the note for the background");
    assert_eq!((tree.all("shared", "l"), tree.all("alice", "").len()), (original, 0));
    // Parts of it move on while it is being relabelled.
    let mut relabelling = SpaceRelabelling::next(&tree.connection).unwrap().unwrap();
    assert!(!relabelling.go_on(&tree.connection, &mut WorkSlice::of(30)).unwrap());
    let (shared, alice) = (tree.permit("shared"), tree.permit("alice"));
    for (from, permit, to) in [("l/inner/deep", &alice, "back"), ("l/inner", &shared, "inner")] {
        let (from, to) = (names(from), names(to));
        let moved = rename(&tree.connection, (&shared, &from), (permit, &to), &tree.file(), None).unwrap();
        assert!(matches!(moved, TreeMoved::Done(_)));
    }
    while !relabelling.go_on(&tree.connection, &mut WorkSlice::of(30)).unwrap() {}
    tree.settle(30, || tree.sound());
    tree.settled();
}

/// What a step of a history does; numbers choose among a few paths.
#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Remove(u8),
    Copy(u8, u8, bool),
    Move(u8, u8, bool),
    Background(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..24u8, 0..6u8).prop_map(|(path, content)| Step::Put(path, content)),
        (0..24u8).prop_map(Step::Remove),
        (0..24u8, 0..24u8, any::<bool>()).prop_map(|(from, to, other)| Step::Copy(from, to, other)),
        (0..24u8, 0..24u8, any::<bool>()).prop_map(|(from, to, other)| Step::Move(from, to, other)),
        (1..40u8).prop_map(Step::Background),
    ]
}

fn path_of(number: u8) -> String {
    let names = ["a", "b", "c"];
    let mut path = names[usize::from(number % 3)].to_owned();
    if number >= 3 {
        path = format!("{path}/{}", names[usize::from(number / 3 % 3)]);
    }
    if number >= 12 { format!("{path}/x{}", number % 4) } else { path }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is done in whatever order, with background work in between, leaves names and contents that agree.
    #[test]
    fn names_and_contents_agree_after_any_history(steps in proptest::collection::vec(step(), 1..40)) {
        let tree = Tree::new();
        tree.plant("a/b", 45);
        tree.plant("c", 35);
        for step in steps {
            // Refusals are as good as successes here.
            let _ = match step {
                Step::Put(path, content) => tree.put(&format!("{}/f", path_of(path)), &format!("{content}")),
                Step::Remove(path) => tree.rm_all(&path_of(path)),
                Step::Copy(from, to, other) => {
                    tree.cp(&path_of(from), if other { "shared" } else { "alice" }, &path_of(to)).map(drop)
                }
                Step::Move(from, to, other) => {
                    tree.mv(&path_of(from), if other { "shared" } else { "alice" }, &path_of(to)).map(drop)
                }
                Step::Background(rows) => {
                    let mut slice = WorkSlice::of(rows.into());
                    if reclaim(&tree.connection, &tree.building, &mut slice).unwrap()
                        && let Some(mut relabelling) = SpaceRelabelling::next(&tree.connection).unwrap()
                    {
                        relabelling.go_on(&tree.connection, &mut slice).unwrap();
                    }
                    Ok(())
                }
            };
            tree.sound();
        }
        tree.settle(50, || {});
        tree.settled();
    }
}
