//! `renew`: a new certificate over the connection that the old one opened.

use std::sync::Arc;
use std::time::SystemTime;

use sealift_protocol::message::{Renew, Reply};

use crate::clock;
use crate::error::Result;
use crate::session::Caller;
use crate::state::State;
use crate::store::identities;

/// Issues a certificate for the caller's identity and a new key.
pub async fn serve(state: &Arc<State>, caller: &Caller, renew: Renew) -> Result<Reply> {
    let (here, caller) = (state.clone(), caller.clone());
    let issued = state.catalog.write(move |connection| {
        caller.verify(connection)?;
        let now = SystemTime::now();
        let issued = here.pki.issue_user(&renew.csr, &caller.name, now)?;
        let expires = clock::nanoseconds(issued.validity.not_after);
        identities::add_certificate(
            connection,
            caller.identity,
            &issued.fingerprint,
            clock::nanoseconds(now),
            expires,
        )?;
        Ok(issued.pem)
    });
    Ok(Reply::Certificate { certificate: issued.await? })
}
