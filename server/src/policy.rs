//! Who may do what: rights on spaces, and the permits that handlers require.
//!
//! The functions that read and change entries take a [`Permit`], and only a check makes one: a handler that forgets to
//! ask does not compile.

use sealift_protocol::WireError;
use sealift_types::{ErrorCode, Name, Rights};

/// A space's row in the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceId(pub(crate) i64);

/// What a caller may do in one space.
#[derive(Debug, Clone)]
pub struct Access {
    space: Option<SpaceId>,
    name: Name,
    rights: Rights,
}

/// Proof that a caller's rights on a space were checked.
#[derive(Debug, Clone)]
pub struct Permit {
    space: SpaceId,
    name: Name,
    rights: Rights,
}

impl Access {
    /// What follows from the facts: the owner has every right, others have what was granted to them or to everyone.
    ///
    /// A space that does not exist grants nothing, and nothing tells it from one that grants nothing.
    pub fn decide(name: &Name, space: Option<SpaceId>, is_owner: bool, granted: Rights) -> Self {
        let rights = match space {
            None => Rights::NONE,
            Some(_) if is_owner => Rights::ALL,
            Some(_) => granted,
        };
        Self { space, name: name.clone(), rights }
    }

    /// A permit, if any of `wanted` is there; it is good for those that are.
    pub fn permit(&self, wanted: Rights) -> Result<Permit, WireError> {
        match self.space {
            Some(space) if self.rights.intersects(wanted) => {
                Ok(Permit { space, name: self.name.clone(), rights: self.rights.intersection(wanted) })
            }
            _ => Err(denied(&self.name, wanted)),
        }
    }

    /// The rights.
    pub fn rights(&self) -> Rights {
        self.rights
    }
}

impl Permit {
    /// The space that it is good for.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// The space's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Refuses unless the permit covers `wanted`.
    pub fn demand(&self, wanted: Rights) -> Result<(), WireError> {
        if self.rights.contains(wanted) { Ok(()) } else { Err(denied(&self.name, wanted)) }
    }
}

fn denied(space: &Name, wanted: Rights) -> WireError {
    WireError::new(
        ErrorCode::NotAllowed,
        format!(
            "you have no right to {} in the space /{space}, or there is no such space: \
             `sealift whoami` shows where you have rights, the server's administrator can grant more",
            wanted.names().join(" or ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let space = Some(SpaceId(1));
        let all = [Rights::READ, Rights::CREATE, Rights::REPLACE, Rights::DELETE];
        // (space exists, caller owns it, granted) -> rights
        let table = [
            (space, true, Rights::NONE, Rights::ALL),
            (space, true, Rights::READ, Rights::ALL),
            (space, false, Rights::NONE, Rights::NONE),
            (space, false, Rights::READ, Rights::READ),
            (space, false, Rights::CREATE, Rights::CREATE),
            (space, false, Rights::READ.union(Rights::CREATE), Rights::READ.union(Rights::CREATE)),
            (space, false, Rights::ALL, Rights::ALL),
            (None, false, Rights::ALL, Rights::NONE),
            (None, true, Rights::ALL, Rights::NONE),
        ];
        for (space, is_owner, granted, expected) in table {
            let access = Access::decide(&"s".parse().unwrap(), space, is_owner, granted);
            assert_eq!(access.rights(), expected);
            for right in all {
                assert_eq!(
                    access.permit(right).is_ok(),
                    expected.contains(right),
                    "{right:?} of {expected:?}"
                );
            }
        }
    }

    #[test]
    fn a_permit_is_good_only_for_what_was_asked_and_granted() {
        let access = Access::decide(&"s".parse().unwrap(), Some(SpaceId(1)), false, Rights::CREATE);
        let permit = access.permit(Rights::CREATE.union(Rights::REPLACE)).unwrap();
        assert!(permit.demand(Rights::CREATE).is_ok());
        assert_eq!(permit.demand(Rights::REPLACE).unwrap_err().code, ErrorCode::NotAllowed);
        let owner = Access::decide(&"s".parse().unwrap(), Some(SpaceId(1)), true, Rights::NONE);
        assert!(owner.permit(Rights::READ).unwrap().demand(Rights::DELETE).is_err());
    }
}
