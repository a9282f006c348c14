//! Whether anybody may join: only while an invitation is open.

use std::time::Instant;

use tokio::sync::Mutex;

use crate::clock;
use crate::error::Result;
use crate::store::{Catalog, identities};

/// Lets machines join only while an invitation is open.
///
/// The catalog is asked each time, because an administrator invites from another process and the token must be good at
/// once. All who ask while a look is under way share the next one, so a crowd of strangers costs one look at a time.
#[derive(Debug, Default)]
pub struct JoinGate(Mutex<Option<(Instant, bool)>>);

impl JoinGate {
    /// Returns true if an unused invitation has not expired.
    ///
    /// # Errors
    /// Fails if the catalog does.
    pub async fn is_open(&self, catalog: &Catalog) -> Result<bool> {
        let asked = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((looked, open)) = *last
            && looked >= asked
        {
            return Ok(open);
        }
        let looked = Instant::now();
        let open =
            catalog.read(|connection| identities::is_invitation_open(connection, clock::now())).await?;
        *last = Some((looked, open));
        Ok(open)
    }
}
