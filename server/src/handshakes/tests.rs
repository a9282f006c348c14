use proptest::prelude::*;

use super::*;

const LIMITS: HandshakeLimits = HandshakeLimits { total: 4, per_address: 3 };

fn origin(last: u8) -> AddressGroup {
    AddressGroup::of(IpAddr::from([192, 0, 2, last]))
}

#[test]
fn an_ipv6_customer_is_one_address_and_a_mapped_ipv4_address_is_itself() {
    let of = |text: &str| AddressGroup::of(text.parse().unwrap());
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
    assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    assert_eq!(of("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
}

#[test]
fn the_address_with_the_most_handshakes_makes_room_with_its_oldest() {
    let handshakes = Handshakes::default();
    let begin = |last| {
        let mut place = handshakes.begin(origin(last), LIMITS);
        place.greeted(Greeting::Named, LIMITS);
        place
    };
    let quiet = begin(1);
    let mut flood: Vec<_> = (0..3).map(|_| begin(2)).collect();
    assert!(flood.iter().all(|place| !place.displaced.is_cancelled()));
    flood.push(begin(2));
    let displaced = |flood: &[HandshakePlace]| {
        flood.iter().map(|place| place.displaced.is_cancelled()).collect::<Vec<_>>()
    };
    assert_eq!(displaced(&flood), [true, false, false, false], "its own limit");
    let third = begin(3);
    assert_eq!(displaced(&flood), [true, true, false, false], "the limit of all");
    assert!(!quiet.displaced.is_cancelled() && !third.displaced.is_cancelled());
    drop(flood);
    assert_eq!(handshakes.count(), 2);
}

#[test]
fn a_client_with_a_certificate_makes_no_room() {
    let handshakes = Handshakes::default();
    let mut client = handshakes.begin(origin(1), LIMITS);
    client.greeted(Greeting::Named, LIMITS);
    client.vouched();
    let flood: Vec<_> = (0..10)
        .map(|_| {
            let mut place = handshakes.begin(origin(1), LIMITS);
            place.greeted(Greeting::Named, LIMITS);
            place
        })
        .collect();
    assert!(!client.displaced.is_cancelled());
    // While it is told that it is one too many, it counts again.
    client.greeted(Greeting::Named, LIMITS);
    assert!(flood.iter().filter(|place| !place.displaced.is_cancelled()).count() < LIMITS.per_address);
    drop(flood);
    assert_eq!(handshakes.count(), 1);
}

#[test]
fn a_client_that_names_the_server_makes_room_only_for_others_that_do() {
    let handshakes = Handshakes::default();
    let begin = |last, greeting| {
        let mut place = handshakes.begin(origin(last), LIMITS);
        place.greeted(greeting, LIMITS);
        place
    };
    let clients = [begin(1, Greeting::Named), begin(2, Greeting::Named)];
    let strangers: Vec<_> = (0..100).map(|number| begin(number % 3, Greeting::Foreign)).collect();
    assert!(clients.iter().all(|client| !client.displaced.is_cancelled()));
    let left = strangers.iter().filter(|place| !place.displaced.is_cancelled()).count();
    assert_eq!(left, LIMITS.total - clients.len());
    let more: Vec<_> = (3..6).map(|last| begin(last, Greeting::Named)).collect();
    assert!(strangers.iter().all(|place| place.displaced.is_cancelled()));
    assert!(clients[0].displaced.is_cancelled() && !clients[1].displaced.is_cancelled());
    drop(more);
}

#[test]
fn a_silent_connection_takes_no_place_from_one_that_speaks() {
    let handshakes = Handshakes::default();
    let mut speaking = handshakes.begin(origin(1), LIMITS);
    speaking.greeted(Greeting::Named, LIMITS);
    let silent: Vec<_> = (0..100).map(|_| handshakes.begin(origin(1), LIMITS)).collect();
    assert!(!speaking.displaced.is_cancelled());
    let left = silent.iter().filter(|place| !place.displaced.is_cancelled()).count();
    assert_eq!(left, LIMITS.per_address * SILENT);
    assert!(silent[..100 - left].iter().all(|place| place.displaced.is_cancelled()), "the oldest first");
}

proptest! {
    /// No order of events leaves a place taken, or lets more handshakes in than agreed.
    #[test]
    fn places_are_counted_right(events in proptest::collection::vec((0..5u8, 0..5u8, 0..8usize), 0..200)) {
        let handshakes = Handshakes::default();
        let mut places: Vec<HandshakePlace> = Vec::new();
        for (event, last, index) in events {
            match event {
                0 | 1 => places.push(handshakes.begin(origin(last), LIMITS)),
                2 if index < places.len() => {
                    let greeting = [Greeting::Foreign, Greeting::Named][usize::from(last % 2)];
                    places[index].greeted(greeting, LIMITS);
                }
                4 if index < places.len() => places[index].vouched(),
                3 if index < places.len() => drop(places.swap_remove(index)),
                _ => {}
            }
            let strangers = handshakes.lock();
            prop_assert!(strangers.silent.count <= LIMITS.total * SILENT);
            prop_assert!(strangers.foreign.count + strangers.named.count <= LIMITS.total);
            for crowd in [&strangers.silent, &strangers.foreign, &strangers.named] {
                let members = crowd.by_origin.values().map(BTreeMap::len).sum::<usize>();
                prop_assert_eq!(crowd.count, members);
                prop_assert_eq!(crowd.order.len(), crowd.by_origin.len());
            }
        }
        drop(places);
        prop_assert_eq!(handshakes.count(), 0);
    }
}
