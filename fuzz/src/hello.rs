//! A stranger's first bytes, as far as a stranger gets: the TLS handshake ends with an error, and holds little memory.

use std::sync::OnceLock;

use arbitrary::{Arbitrary, Unstructured};
use sealift_certs::tls::{self, client_config};
use sealift_certs::{fingerprint, new_key_and_request};
use sealift_protocol::JOIN_ALPN;

use crate::memory::within;
use crate::pki::{configurations, hour, pki};
use crate::stream::{Pieces, run};

/// rustls holds up to 64 KiB of a handshake, beside a record, its keys and the configuration's share.
const MOST: usize = 256 * 1024;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    sizes: [u8; 8],
    start: Start,
    /// Bytes of a good start that are changed.
    changes: [(u16, u8); 4],
    records: Vec<Record<'a>>,
    rest: &'a [u8],
}

#[derive(Debug, Arbitrary)]
enum Start {
    None,
    /// The first message of a client that is enrolled, and of one that joins.
    Transfer,
    Join,
    /// The same, cut into records of this size.
    Cut(u8),
}

#[derive(Debug, Arbitrary)]
struct Record<'a> {
    kind: Kind,
    payload: &'a [u8],
    /// How much longer the header says that it is.
    more: u8,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Kind {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ClientHello,
    Data,
}

/// Takes an input, or behind a zero byte what arrives.
pub fn check(bytes: &[u8]) {
    let (wire, sizes) = match bytes.split_first() {
        Some((0, wire)) => (wire.to_vec(), [0; 8]),
        Some((_, rest)) => {
            let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(rest)) else { return };
            (write(&input), input.sizes)
        }
        None => return,
    };
    let (transfer, join) = configurations();
    let stream = Pieces::new(&wire, &sizes);
    within(MOST, || {
        run(async {
            let Ok(begun) = tls::client_hello(stream).await else { return };
            let joins =
                begun.client_hello().alpn().is_some_and(|mut offered| offered.any(|alpn| alpn == JOIN_ALPN));
            let connection = tls::accept(begun, if joins { join } else { transfer }).await;
            // The client's last message depends on a key that the server made a moment ago.
            assert!(connection.is_err(), "a handshake ends well with bytes that were there before it began");
        });
    });
}

fn write(input: &Input<'_>) -> Vec<u8> {
    let [transfer, join] = hellos();
    let mut wire = match input.start {
        Start::None => Vec::new(),
        Start::Transfer => transfer.clone(),
        Start::Join => join.clone(),
        Start::Cut(size) => {
            let message = transfer.get(5..).unwrap_or_default();
            message.chunks(usize::from(size).max(1)).flat_map(|piece| record(22, piece, 0)).collect()
        }
    };
    if !wire.is_empty() {
        for (at, change) in input.changes {
            let at = usize::from(at) % wire.len();
            wire[at] ^= change;
        }
    }
    for Record { kind, payload, more } in &input.records {
        wire.extend(match kind {
            Kind::ChangeCipherSpec => record(20, payload, *more),
            Kind::Alert => record(21, payload, *more),
            Kind::Handshake => record(22, payload, *more),
            Kind::Data => record(23, payload, *more),
            Kind::ClientHello => {
                let length = payload.len() + usize::from(*more);
                let mut message = vec![1, 0, (length >> 8) as u8, length as u8];
                message.extend_from_slice(payload);
                record(22, &message, 0)
            }
        });
    }
    wire.extend_from_slice(input.rest);
    wire
}

fn record(kind: u8, payload: &[u8], more: u8) -> Vec<u8> {
    let length = (payload.len() + usize::from(more)) as u16;
    [&[kind, 3, 3][..], &length.to_be_bytes(), payload].concat()
}

/// The first message of a client that is enrolled, and of one that joins.
fn hellos() -> &'static [Vec<u8>; 2] {
    static HELLOS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    HELLOS.get_or_init(|| {
        let authority = &pki().authority;
        let made = new_key_and_request().expect("keys can be made");
        let name = "alice".parse().expect("it is a name");
        let issued = authority.issue_user(&made.csr_pem, &name, hour()).expect("the request is good");
        let transfer = client_config(authority.certificate_pem(), &issued.pem, &made.key_pem);
        let join =
            tls::join_client_config(fingerprint(authority.certificate_der()), authority.trust_domain());
        [transfer, join].map(|config| {
            let name = tls::server_name(authority.trust_domain());
            let config = config.expect("the certificates are good");
            let mut connection = rustls::ClientConnection::new(config, name).expect("the name is a host's");
            let mut hello = Vec::new();
            connection.write_tls(&mut hello).expect("memory takes everything");
            hello
        })
    })
}
