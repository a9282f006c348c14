use super::*;
use crate::sync::listing;

/// However long a listing is, no more of it is kept than fits; the rest is fetched at once.
#[test]
fn what_waits_to_be_found_here_is_bounded() {
    const FILES: usize = 40;
    let directory = tempfile::tempdir().unwrap();
    let entry = |number: usize| Entry {
        name: format!("{number:03}"),
        kind: EntryKind::File,
        size: 1,
        mtime: 0,
        executable: false,
        sha256: Some(Digest::of(b"x")),
        target: None,
        by: None,
        etag: Some("etag".into()),
    };
    for (fitting, held) in [(0, 0), (5, 5), (100, FILES)] {
        let listed = listing::listed((0..FILES).map(entry).collect());
        let tree = Arc::new(TreeRoot::open(directory.path()).unwrap());
        let rules = SyncOptions::default();
        let pairs =
            Pairs::new(directory.path(), Some(tree.clone()), listed, &rules.walking.filter, true, true);
        let root = Arc::new(Directory::root(directory.path().to_owned(), None, &Arc::default()));
        let open = SharedDirectory::new(String::new(), directory.path().to_owned(), None, Some(root));
        let (tell, mut told) = mpsc::channel(10);
        let from = "t".parse().unwrap();
        let mut comparison = Comparison::new(pairs, Some(tree), &from, &rules, open, tell, false);
        let wanted = WantedFile {
            entry: entry(0),
            from: "t/000".parse().unwrap(),
            path: directory.path().join("000"),
            directory: None,
            action: TreeChangeKind::Fetch,
        };
        comparison.room = fitting * wanted.bytes();
        comparison.run().unwrap();
        assert_eq!(comparison.held.as_ref().map(Vec::len), Some(held));
        comparison.settle().unwrap();
        let mut files = 0;
        while let Ok(batch) = told.try_recv() {
            files += batch.iter().filter(|found| matches!(found, Ok(LocalEntryPlan::File { .. }))).count();
        }
        assert_eq!(files, FILES);
    }
}
