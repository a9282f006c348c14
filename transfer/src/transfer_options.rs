//! How transfers are done: what both directions have in common.

/// How transfers are done.
#[derive(Debug, Clone, Copy, Default)]
pub struct TransferOptions {
    /// A file that is newer at the other end stays there as it is.
    pub update: bool,
    /// Nothing is changed at either end: it is only told what would be.
    pub dry_run: bool,
    /// A file that is written to while it is read is stored as it was read, up to the length that it had.
    pub allow_changing: bool,
    /// What is downloaded is only shown: the server's log tells it apart. At most some megabytes.
    pub(crate) preview: bool,
    /// Small uploads are planned like large ones, because the server is likely to have their contents.
    pub(crate) ask_first: bool,
}

impl TransferOptions {
    /// The usual one, with these changes.
    pub fn new(update: bool, dry_run: bool) -> Self {
        Self { update, dry_run, ..Self::default() }
    }

    /// For contents that are only shown.
    pub fn preview() -> Self {
        Self { preview: true, ..Self::default() }
    }

    /// The same, where files that are written to meanwhile are stored all the same, or are not.
    pub fn allow_changing(self, allow_changing: bool) -> Self {
        Self { allow_changing, ..self }
    }
}
