//! A directory as it is shown: sorted, filtered, with a selection and a row that has the keyboard.

mod sort;

use std::collections::HashSet;

use sealift_protocol::message::{Entry, EntryKind};
use sealift_types::EntryPath;
use sealift_types::path::name_key;

use super::item::Trouble;
pub use sort::Sort;

/// A directory as it is shown.
#[derive(Debug)]
pub struct Browser {
    /// Which directory; `/` is the list of spaces.
    pub path: EntryPath,
    /// What is in it.
    entries: Vec<Entry>,
    /// Entries by their rows.
    rows: Vec<usize>,
    /// By what the rows are sorted.
    pub sort: Sort,
    /// Whether the largest comes first.
    pub descending: bool,
    /// What is typed into the filter.
    pub filter: String,
    selected: HashSet<usize>,
    /// The row that has the keyboard.
    pub cursor: Option<usize>,
    anchor: Option<usize>,
    /// Entries that have come so far of a listing that is under way.
    coming: Option<Vec<Entry>>,
    /// Why there is nothing to show.
    pub trouble: Option<Trouble>,
    /// Whether anything was ever listed here.
    pub listed: bool,
    /// The entry that gets the cursor when the listing is complete.
    wanted: Option<String>,
    /// Directories that were left, the last one last.
    history: Vec<EntryPath>,
    /// Counts the listings that were asked for; answers to older ones are not wanted any more.
    pub generation: u64,
}

impl Browser {
    /// Nothing yet, at `path`.
    pub fn at(path: EntryPath) -> Self {
        Self {
            path,
            entries: Vec::new(),
            rows: Vec::new(),
            sort: Sort::Name,
            descending: false,
            filter: String::new(),
            selected: HashSet::new(),
            cursor: None,
            anchor: None,
            coming: None,
            trouble: None,
            listed: false,
            wanted: None,
            history: Vec::new(),
            generation: 0,
        }
    }

    /// Goes to another directory, of which a listing is to be asked for.
    pub fn go(&mut self, path: EntryPath) {
        if path != self.path {
            let left = std::mem::replace(&mut self.path, path);
            self.history.push(left);
        }
        self.leave();
    }

    /// Goes back to where one was; whether there is such a place.
    pub fn back(&mut self) -> bool {
        let Some(path) = self.history.pop() else { return false };
        self.path = path;
        self.leave();
        true
    }

    /// Whether there is a place to go back to.
    pub fn can_go_back(&self) -> bool {
        !self.history.is_empty()
    }

    /// The directory above, if there is one: a space's is the list of spaces.
    pub fn above(&self) -> Option<EntryPath> {
        let path = self.path.as_str().trim_end_matches('/');
        let (above, _) = path.rsplit_once('/')?;
        if above.is_empty() { "/" } else { above }.parse().ok()
    }

    fn leave(&mut self) {
        self.entries.clear();
        self.rows.clear();
        self.filter.clear();
        self.selected.clear();
        (self.cursor, self.anchor, self.trouble, self.listed) = (None, None, None, false);
    }

    /// A listing begins; returns its number.
    pub fn begin(&mut self) -> u64 {
        self.generation += 1;
        self.coming = Some(Vec::new());
        self.generation
    }

    /// Some entries have come.
    pub fn page(&mut self, generation: u64, page: Vec<Entry>) {
        if generation == self.generation {
            self.coming.get_or_insert_default().extend(page);
        }
    }

    /// The listing is complete, or has failed. What was selected stays so, by its name.
    pub fn complete(&mut self, generation: u64, result: Result<(), Trouble>) {
        if generation != self.generation {
            return;
        }
        let coming = self.coming.take().unwrap_or_default();
        match result {
            Ok(()) => {
                let names: HashSet<String> = self.selection().map(|entry| entry.name.clone()).collect();
                let cursor = self.cursor.and_then(|row| self.row(row)).map(|entry| entry.name.clone());
                self.entries = coming;
                self.trouble = None;
                self.listed = true;
                let kept = self.entries.iter().enumerate().filter(|(_, entry)| names.contains(&entry.name));
                self.selected = kept.map(|(index, _)| index).collect();
                self.arrange();
                self.cursor = cursor.and_then(|name| self.row_of(&name));
                self.anchor = self.cursor;
                if let Some(row) = self.wanted.take().and_then(|name| self.row_of(&name)) {
                    self.select(row, false, false);
                }
            }
            Err(trouble) => self.trouble = Some(trouble),
        }
    }

    /// How many entries have come of a listing that is under way.
    pub fn loading(&self) -> Option<usize> {
        self.coming.as_ref().map(Vec::len)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is shown.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many entries there are, whether they are shown or not.
    pub fn total(&self) -> usize {
        self.entries.len()
    }

    /// The entry of a row.
    pub fn row(&self, row: usize) -> Option<&Entry> {
        self.entries.get(*self.rows.get(row)?)
    }

    /// The row of an entry.
    pub fn row_of(&self, name: &str) -> Option<usize> {
        self.rows.iter().position(|index| self.entries[*index].name == name)
    }

    /// Whether something in the directory has this name, or another spelling of it.
    pub fn has(&self, name: &str) -> bool {
        let key = name_key(name);
        self.entries.iter().any(|entry| name_key(&entry.name) == key)
    }

    /// Whether a row is selected.
    pub fn is_selected(&self, row: usize) -> bool {
        self.rows.get(row).is_some_and(|index| self.selected.contains(index))
    }

    /// How many entries are selected.
    pub fn selected(&self) -> usize {
        self.selected.len()
    }

    /// What is selected, in the order of the rows.
    pub fn selection(&self) -> impl Iterator<Item = &Entry> {
        let selected = self.rows.iter().filter(|index| self.selected.contains(index));
        selected.map(|index| &self.entries[*index])
    }

    /// The path of an entry.
    pub fn path_of(&self, entry: &Entry) -> Option<EntryPath> {
        self.path.join(&entry.name).ok()
    }

    /// Sorts by a column, or the other way round if that is how it is sorted already.
    pub fn sort_by(&mut self, sort: Sort) {
        if self.sort == sort {
            self.descending = !self.descending;
        } else {
            // Of times and sizes the largest is looked for most.
            (self.sort, self.descending) = (sort, matches!(sort, Sort::Size | Sort::Modified));
        }
        self.rearrange();
    }

    /// The filter has changed.
    pub fn refilter(&mut self) {
        let shown = |index: &usize, filter: &str| matches(&self.entries[*index].name, filter);
        let filter = self.filter.to_lowercase();
        self.selected = self.selected.iter().copied().filter(|index| shown(index, &filter)).collect();
        self.rearrange();
    }

    fn rearrange(&mut self) {
        let cursor = self.cursor.and_then(|row| self.rows.get(row).copied());
        self.arrange();
        self.cursor = cursor.and_then(|index| self.rows.iter().position(|other| *other == index));
        self.anchor = self.cursor;
    }

    fn arrange(&mut self) {
        let Self { entries, sort, descending, .. } = self;
        let filter = self.filter.to_lowercase();
        let mut rows: Vec<_> =
            (0..entries.len()).filter(|index| matches(&entries[*index].name, &filter)).collect();
        sort.arrange(*descending, entries, &mut rows);
        self.rows = rows;
    }

    /// Selects a row: alone, in addition (or not any more), or all up to it.
    pub fn select(&mut self, row: usize, add: bool, range: bool) {
        let Some(index) = self.rows.get(row).copied() else { return };
        match (range, self.anchor) {
            (true, Some(anchor)) => {
                if !add {
                    self.selected.clear();
                }
                let (from, to) = (anchor.min(row), anchor.max(row));
                self.selected.extend(&self.rows[from..=to]);
            }
            _ if add => {
                if !self.selected.remove(&index) {
                    self.selected.insert(index);
                }
                self.anchor = Some(row);
            }
            _ => {
                self.selected = HashSet::from([index]);
                self.anchor = Some(row);
            }
        }
        self.cursor = Some(row);
    }

    /// Moves the cursor by rows, and selects what it comes to.
    pub fn step(&mut self, by: isize, range: bool) {
        let Some(last) = self.rows.len().checked_sub(1) else { return };
        let row = match self.cursor {
            Some(row) => row.saturating_add_signed(by).min(last),
            // From outside: from below the last row upwards, from above the first one downwards.
            None if by < 0 => self.rows.len().saturating_add_signed(by),
            None => last.min(by.unsigned_abs().saturating_sub(1)),
        };
        self.select(row, false, range);
    }

    /// Selects all rows.
    pub fn select_all(&mut self) {
        self.selected = self.rows.iter().copied().collect();
    }

    /// Puts the cursor on an entry of this name when it comes.
    pub fn remember(&mut self, name: Option<String>) {
        self.wanted = name;
    }

    /// Selects nothing.
    pub fn select_none(&mut self) {
        self.selected.clear();
    }
}

/// Whether one can go into it.
pub fn is_place(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::Directory | EntryKind::Space)
}

fn matches(name: &str, filter: &str) -> bool {
    filter.is_empty() || name.to_lowercase().contains(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, size: u64) -> Entry {
        Entry {
            name: name.into(),
            kind: if name.ends_with('/') { EntryKind::Directory } else { EntryKind::File },
            size,
            mtime: 0,
            executable: false,
            sha256: None,
            target: None,
            by: None,
            etag: None,
        }
    }

    fn browser(entries: &[(&str, u64)]) -> Browser {
        let mut browser = Browser::at("/alice".parse().unwrap());
        let generation = browser.begin();
        browser.page(generation, entries.iter().map(|(name, size)| entry(name, *size)).collect());
        browser.complete(generation, Ok(()));
        browser
    }

    fn names(browser: &Browser) -> Vec<&str> {
        (0..browser.len()).map(|row| browser.row(row).unwrap().name.as_str()).collect()
    }

    #[test]
    fn folders_come_first_and_numbers_count() {
        let mut browser = browser(&[("b10", 1), ("B9", 3), ("a", 2), ("z/", 0)]);
        assert_eq!(names(&browser), ["z/", "a", "B9", "b10"]);
        browser.sort_by(Sort::Size);
        assert_eq!(names(&browser), ["z/", "B9", "a", "b10"]);
        browser.sort_by(Sort::Size);
        assert_eq!(names(&browser), ["z/", "b10", "a", "B9"]);
    }

    #[test]
    fn a_selection_is_kept_by_name_when_the_list_is_renewed() {
        let mut browser = browser(&[("a", 1), ("b", 1), ("c", 1)]);
        browser.select(1, false, false);
        browser.select(2, true, false);
        let generation = browser.begin();
        browser.page(generation, vec![entry("0", 1), entry("a", 1), entry("c", 1)]);
        browser.complete(generation, Ok(()));
        assert_eq!(browser.selection().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["c"]);
        assert_eq!(browser.cursor, Some(2));
    }

    #[test]
    fn answers_that_come_too_late_change_nothing() {
        let mut browser = browser(&[("a", 1)]);
        let old = browser.begin();
        browser.go("/bob".parse().unwrap());
        let new = browser.begin();
        browser.page(old, vec![entry("old", 1)]);
        browser.complete(old, Ok(()));
        assert!(browser.is_empty() && browser.loading().is_some());
        browser.page(new, vec![entry("new", 1)]);
        browser.complete(new, Ok(()));
        assert_eq!(names(&browser), ["new"]);
    }

    #[test]
    fn what_the_filter_hides_is_not_selected() {
        let mut browser = browser(&[("apple", 1), ("Banana", 1), ("cherry", 1)]);
        browser.select_all();
        browser.filter = "AN".into();
        browser.refilter();
        assert_eq!(names(&browser), ["Banana"]);
        assert_eq!(browser.selected(), 1);
        browser.filter.clear();
        browser.refilter();
        assert_eq!((browser.len(), browser.selected()), (3, 1));
    }

    #[test]
    fn the_keyboard_selects_single_rows_and_ranges() {
        let mut browser = browser(&[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
        for (by, row) in [(1, 0), (-1, 3), (isize::MAX / 2, 3), (-isize::MAX / 2, 0)] {
            browser.cursor = None;
            browser.step(by, false);
            assert_eq!(browser.cursor, Some(row), "{by} from nowhere");
        }
        browser.step(1, false);
        assert_eq!((browser.cursor, browser.selected()), (Some(1), 1));
        browser.step(5, true);
        assert_eq!((browser.cursor, browser.selected()), (Some(3), 3));
        browser.step(-1, true);
        assert_eq!(browser.selected(), 2);
        browser.step(-9, false);
        assert_eq!((browser.cursor, browser.selected()), (Some(0), 1));
    }

    #[test]
    fn above_a_space_are_the_spaces() {
        let above = |path: &str| Browser::at(path.parse().unwrap()).above().map(|path| path.to_string());
        assert_eq!(above("/alice/a/b").unwrap(), "/alice/a");
        assert_eq!(above("/alice").unwrap(), "/");
        assert_eq!(above("/"), None);
    }
}
