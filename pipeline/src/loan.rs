//! Memory for blocks that somebody has to lend.

use std::any::Any;
use std::fmt::Debug;

/// Decides whether there is memory for another block of a transfer.
pub trait MemoryLender: Debug + Send + Sync {
    /// Lends so many bytes until what is returned is dropped, or refuses.
    fn lend(&self, bytes: usize) -> Option<MemoryLoan>;
}

/// Memory that was lent, until this is dropped.
#[derive(Debug)]
pub struct MemoryLoan(#[allow(dead_code)] Box<dyn Any + Send + Sync>);

impl MemoryLoan {
    /// Memory that is given back when `loan` is dropped.
    pub fn new(loan: impl Send + Sync + 'static) -> Self {
        Self(Box::new(loan))
    }
}
