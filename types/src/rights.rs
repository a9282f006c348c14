//! Rights on a space.

/// A set of rights on a space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u8);

impl Rights {
    /// No right at all.
    pub const NONE: Self = Self(0);
    /// List, describe and download.
    pub const READ: Self = Self(1);
    /// Store under new names.
    pub const CREATE: Self = Self(2);
    /// Store under names that are taken.
    pub const REPLACE: Self = Self(4);
    /// Delete, and move away.
    pub const DELETE: Self = Self(8);
    /// What the owner of a space has.
    pub const ALL: Self = Self(15);

    const NAMES: [(Self, &'static str); 4] = [
        (Self::READ, "read"),
        (Self::CREATE, "create"),
        (Self::REPLACE, "replace"),
        (Self::DELETE, "delete"),
    ];

    /// The rights in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The rights in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every right in `other` is here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any right in `other` is here.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The rights by name.
    pub fn names(self) -> Vec<&'static str> {
        Self::NAMES.iter().filter(|(right, _)| self.contains(*right)).map(|(_, name)| *name).collect()
    }

    /// One right, by its name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(right, _)| *right)
    }

    /// As the catalog keeps it.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// From the catalog; bits of later versions are dropped.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }
}
