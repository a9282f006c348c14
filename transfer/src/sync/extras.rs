//! What only the destination has, while a comparison goes by.

/// About so many bytes are spent on remembering it. A server may list entries without end.
const MOST: usize = 256 << 20;

/// What the allocator and the texts in an entry, beside its path, cost at most.
const BESIDE: usize = 128;

/// What only the destination has.
#[derive(Debug)]
pub(super) struct Extras<T> {
    /// In the order of the comparison: each directory before what is in it.
    pub(super) going: Vec<Extra<T>>,
    /// The directories from the root to the last entry, as prefixes of keys, and where they are among the others.
    open: Vec<(String, usize)>,
    /// Bytes that may still be spent.
    room: usize,
    /// Something found no room.
    pub(super) incomplete: bool,
}

#[derive(Debug)]
pub(super) struct Extra<T> {
    pub(super) entry: T,
    pub(super) is_directory: bool,
    /// It stays: something is in it that is left alone.
    pub(super) stays: bool,
    /// It got another name, and is not there any more.
    pub(super) moved: bool,
}

impl<T> Default for Extras<T> {
    fn default() -> Self {
        Self { going: Vec::new(), open: Vec::new(), room: MOST, incomplete: false }
    }
}

impl<T> Extras<T> {
    /// Closes the directories that `key` is not in.
    pub(super) fn settle(&mut self, key: &str) {
        while self.open.pop_if(|(prefix, _)| !key.starts_with(prefix.as_str())).is_some() {}
    }

    /// Adds an entry. Returns its number.
    pub(super) fn add(&mut self, key: &str, entry: T, is_directory: bool) -> usize {
        let number = self.going.len();
        if is_directory {
            self.open.push((format!("{key}\0"), number));
        }
        self.going.push(Extra { entry, is_directory, stays: false, moved: false });
        number
    }

    /// Adds an entry if there is room.
    pub(super) fn add_if_room(&mut self, key: &str, entry: T, is_directory: bool) {
        let copies = if is_directory { 2 } else { 1 };
        let cost = copies * (key.len() + BESIDE) + size_of::<Extra<T>>();
        match self.room.checked_sub(cost) {
            Some(room) => {
                self.room = room;
                self.add(key, entry, is_directory);
            }
            None => self.incomplete = true,
        }
    }

    /// Something is left alone, and so are the directories that it is in.
    pub(super) fn protect(&mut self, key: &str) {
        for (_, number) in self.open.iter().filter(|(prefix, _)| key.starts_with(prefix.as_str())) {
            self.going[*number].stays = true;
        }
    }

    /// What is to be deleted, what is in a directory before the directory.
    pub(super) fn doomed(&self) -> impl Iterator<Item = (usize, &Extra<T>)> {
        self.going.iter().enumerate().rev().filter(|(_, extra)| !extra.stays && !extra.moved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_alone_keeps_the_directories_above_it() {
        let mut extras = Extras::default();
        for (key, is_directory) in [("a", true), ("a\0b", true), ("a\0b\0x", false)] {
            extras.settle(key);
            extras.add(key, key, is_directory);
        }
        extras.settle("a\0c\0kept");
        extras.protect("a\0c\0kept");
        extras.settle("d");
        extras.add("d", "d", true);
        extras.protect("e");
        let doomed: Vec<_> = extras.doomed().map(|(_, extra)| extra.entry).collect();
        assert_eq!(doomed, ["d", "a\0b\0x", "a\0b"]);
    }

    #[test]
    fn a_listing_without_end_does_not_take_all_memory() {
        let mut extras = Extras { room: 100_000, ..Extras::default() };
        let name = "x".repeat(200);
        for number in 0..10_000 {
            let key = format!("{number}{name}");
            extras.settle(&key);
            extras.add_if_room(&key, key.clone(), number % 2 == 0);
            assert_eq!(extras.incomplete, extras.going.len() <= number, "{number}");
        }
        assert!(extras.incomplete);
        let held: usize =
            extras.going.iter().map(|extra| size_of::<Extra<String>>() + extra.entry.capacity()).sum();
        assert!((30_000..100_000).contains(&held), "{held}");
    }
}
