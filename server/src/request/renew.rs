//! `renew`: a new certificate over the connection that the old one opened.

use std::sync::Arc;
use std::time::SystemTime;

use sealift_protocol::message::{Renew, Reply};

use crate::caller::Caller;
use crate::clock;
use crate::error::Result;
use crate::state::ServerState;
use crate::store::certificates::{self, CertificateOrigin, NewCertificate};

/// Issues a certificate for the caller's identity and a new key.
pub async fn serve(state: &Arc<ServerState>, caller: &Caller, renew: Renew) -> Result<Reply> {
    let (here, caller) = (state.clone(), caller.clone());
    let lifetime = state.config().certificates.client_lifetime();
    let catalog = caller.changes(&state.catalog);
    let issued = catalog.write(move |connection| {
        caller.verify(connection)?;
        caller.refuse_changes()?;
        let now = SystemTime::now();
        let machine = certificates::machine(connection, &caller.fingerprint)?;
        let issued = here.pki.renew_user(&renew.csr, &caller.name, &machine.origin, lifetime, now)?;
        let new = NewCertificate {
            fingerprint: &issued.fingerprint,
            issued_at: clock::nanoseconds(now),
            expires_at: clock::nanoseconds(issued.validity.not_after),
            origin: CertificateOrigin::Renewal(&machine),
        };
        certificates::add(connection, caller.identity, new)?;
        Ok(issued.pem)
    });
    Ok(Reply::Certificate { certificate: issued.await? })
}
