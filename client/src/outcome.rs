//! What several results make together.

use crate::failure::Exit;

/// How the program ends when so many of `total` failed.
///
/// All failed for the same reason: that reason. All failed, for different ones: [`Exit::Other`]. Some failed:
/// [`Exit::Some`].
pub(crate) fn together(total: usize, failures: &[Exit]) -> Exit {
    match failures {
        [] => Exit::Done,
        [first, rest @ ..] if failures.len() >= total => {
            if rest.iter().all(|exit| exit == first) {
                *first
            } else {
                Exit::Other
            }
        }
        _ => Exit::Some,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_exit_code_for_all() {
        assert_eq!(together(3, &[]), Exit::Done);
        assert_eq!(together(1, &[Exit::NotFound]), Exit::NotFound);
        assert_eq!(together(2, &[Exit::NotFound, Exit::NotFound]), Exit::NotFound);
        assert_eq!(together(2, &[Exit::NotFound, Exit::NotAllowed]), Exit::Other);
        assert_eq!(together(3, &[Exit::NotFound, Exit::NotFound]), Exit::Some);
    }
}
