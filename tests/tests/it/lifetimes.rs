//! How long certificates and invitations are valid is a setting.

use std::time::{Duration, SystemTime};

use sealift_certs::{certificate_from_pem, new_key_and_request, validity};
use sealift_server::clock::nanoseconds;
use sealift_tests::{Settings, World};

const HOUR: Duration = Duration::from_secs(3600);

/// Whether a moment is `expected`, give or take what a slow test takes.
#[track_caller]
fn is_about(moment: i64, expected: SystemTime) {
    let off = (moment - nanoseconds(expected)).abs();
    assert!(off < 600_000_000_000, "{off} ns off");
}

#[tokio::test]
async fn certificates_are_valid_as_long_as_the_settings_say() {
    let settings = Settings::new()
        .line("certificates.client_lifetime = '5h'")
        .line("certificates.server_lifetime = '3d'");
    let world = World::with(settings).await;
    let alice = world.enrol("alice").await;
    let mut client = alice.connect().await;
    is_about(client.whoami().await.unwrap().expires, SystemTime::now() + 5 * HOUR);
    // A renewal is for the same time, in the certificate and in the catalog.
    let renewed = client.renew(&new_key_and_request().unwrap().csr_pem).await.unwrap();
    let end = validity(&certificate_from_pem(&renewed).unwrap()).unwrap().not_after;
    is_about(nanoseconds(end), SystemTime::now() + 5 * HOUR);
    let sql = "SELECT min(expires_at - issued_at), max(expires_at - issued_at) FROM certificates";
    let lives: (i64, i64) = world.catalog().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert!((5 * 3600 - 2..=5 * 3600 + 2).contains(&(lives.0 / 1_000_000_000)), "{lives:?}");
    assert!((5 * 3600 - 2..=5 * 3600 + 2).contains(&(lives.1 / 1_000_000_000)), "{lives:?}");
    let server = std::fs::read_to_string(world.data.join("pki/server.pem")).unwrap();
    let server = validity(&certificate_from_pem(&server).unwrap()).unwrap();
    is_about(nanoseconds(server.not_after), SystemTime::now() + 72 * HOUR);
}
