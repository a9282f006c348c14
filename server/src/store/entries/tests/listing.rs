use proptest::prelude::*;

use super::*;

/// The order of a recursive listing is that of the names in a path, not that of its bytes: `!` sorts before `/`.
#[test]
fn a_directory_comes_before_what_is_in_it_and_that_before_its_siblings() {
    let tree = Tree::new();
    for path in ["a/x", "a!", "a/b/c", "a b", "b", "A"] {
        tree.put(path, "").unwrap();
    }
    let expected = ["A 0", "a/", "a/b/", "a/b/c 0", "a/x 0", "a b 0", "a! 0", "b 0"];
    assert_eq!(tree.all("alice", ""), expected);
}

#[test]
fn a_listing_goes_on_behind_what_is_gone_or_has_become_something_else() {
    let tree = Tree::new();
    for path in ["a/1", "a/2", "b/1", "b/2/x", "c"] {
        tree.put(path, "").unwrap();
    }
    let behind = |after: &str, recursive: bool| {
        let mut page = EntryPage::new(u64::MAX);
        list(&tree.connection, &tree.permit("alice"), &EntryPlace::Root, recursive, after, &mut page)
            .unwrap();
        page.finish().0.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(behind("a/1", true), ["a/2 0", "b/", "b/1 0", "b/2/", "b/2/x 0", "c 0"]);
    assert_eq!(behind("a/15", true), ["a/2 0", "b/", "b/1 0", "b/2/", "b/2/x 0", "c 0"]);
    assert_eq!(behind("b/2/x", true), ["c 0"]);
    assert_eq!(behind("b/2/x/deeper/still", true), ["c 0"]);
    assert_eq!(behind("b", false), ["c 0"]);
    assert_eq!(behind("aa", false), ["b/", "c 0"]);
    assert_eq!(behind("zzz", true), [""; 0]);
    tree.rm_all("a").unwrap();
    assert_eq!(behind("a/1", true), ["b/", "b/1 0", "b/2/", "b/2/x 0", "c 0"]);
    tree.rm_all("b").unwrap();
    tree.put("b", "").unwrap();
    assert_eq!(behind("b/1", true), ["c 0"]);
    for odd in ["", "/", "//", "../..", "\0"] {
        assert_eq!(behind(odd, true), ["b 0", "c 0"], "{odd:?}");
    }
}

/// Entries as long as they get, in JSON.
#[test]
fn a_page_fits_a_frame() {
    let tree = Tree::new();
    let name = "\"".repeat(255);
    let deep = vec![name.clone(); 15].join("/");
    for number in 0..40 {
        tree.ln(&format!("{deep}/{number}"), &"\u{1}".repeat(4096)).unwrap();
        tree.put(&format!("{deep}/{number:02}{}", &name[2..]), "x").unwrap();
    }
    for number in 0..1000 {
        tree.mkdir(&format!("many/{number}"), None).unwrap();
    }
    let permit = tree.permit("alice");
    let (mut after, mut seen, mut pages) = (String::new(), 0, 0);
    loop {
        let mut page = EntryPage::new(u64::MAX);
        list(&tree.connection, &permit, &EntryPlace::Root, true, &after, &mut page).unwrap();
        let (entries, more) = page.finish();
        seen += entries.len();
        pages += 1;
        if let Some(last) = entries.last() {
            after.clone_from(&last.name);
        }
        let mut frame = Vec::new();
        sealift_protocol::message::encode(
            &sealift_protocol::Reply::Entries { entries, more, state: None, changed: false },
            &mut frame,
        )
        .unwrap();
        assert!(!more || frame.len() > 20_000, "pages are filled: {}", frame.len());
        if !more {
            break;
        }
    }
    assert_eq!(i64::try_from(seen).unwrap(), count(&tree.connection, "entries"));
    assert!(pages < 60, "{pages}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// However a listing is cut into pages, it is the same, and in the order of the names.
    #[test]
    fn pages_put_together_are_the_whole_listing(
        paths in proptest::collection::vec("([ab/]|e\u{301}|\u{e9}|!){1,12}", 1..30),
        limit in 1u64..8,
    ) {
        let tree = Tree::new();
        for (number, path) in paths.iter().enumerate() {
            // Those that would be below a file, or take a directory's place, are left out.
            let _ = match number % 3 {
                0 => tree.put(path, path),
                1 => tree.ln(path, path),
                _ => tree.mkdir(path, None),
            };
        }
        for recursive in [false, true] {
            let whole: Vec<_> = tree.pages("alice", "", recursive, u64::MAX).into_iter().flatten().collect();
            let pages = tree.pages("alice", "", recursive, limit);
            prop_assert!(pages.iter().all(|page| page.len() as u64 <= limit));
            prop_assert_eq!(&pages.into_iter().flatten().collect::<Vec<_>>(), &whole);
            let keys: Vec<Vec<String>> = whole
                .iter()
                .map(|entry| entry.name.split('/').map(|name| name_key(name).into_owned()).collect())
                .collect();
            prop_assert!(keys.is_sorted_by(|one, next| one < next));
            if recursive {
                prop_assert_eq!(i64::try_from(whole.len()).unwrap(), count(&tree.connection, "entries"));
            }
        }
    }
}
