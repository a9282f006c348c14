//! Places for connections that have not shown a certificate yet, shared fairly between addresses.
//!
//! A stranger costs nothing to whoever sends one, so a new connection always gets a place. When there are too many, one
//! makes room: the oldest of the address that has the most. A silent connection, which has sent no ClientHello, costs
//! a socket only; there are more places for those, so a client has time to send its first message. A connection whose
//! ClientHello names this server's trust domain, as that of every client does, makes room only when no other can.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::config::ConnectionLimits;

/// Silent connections for each handshake that may be under way.
const SILENT: usize = 8;

/// An address whose connections share limits: one IPv4 address, or one IPv6 network of 64 bits, which is what one
/// customer has at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressGroup(IpAddr);

/// How many handshakes may be under way. Both limits hold eight times as many silent connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandshakeLimits {
    /// In all.
    pub total: usize,
    /// From one address.
    pub per_address: usize,
}

/// The connections that have not shown a certificate yet.
#[derive(Debug, Clone, Default)]
pub struct Handshakes(Arc<Mutex<Strangers>>);

/// A place for one handshake, which is free again when this is dropped.
#[derive(Debug)]
pub struct HandshakePlace {
    handshakes: Handshakes,
    number: u64,
    origin: AddressGroup,
    stage: HandshakeStage,
    /// Cancelled when others need the place.
    pub displaced: CancellationToken,
}

/// How far a handshake has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandshakeStage {
    Silent,
    Greeted(Greeting),
    Vouched,
}

/// What a ClientHello says about whom the client wants to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Greeting {
    /// It does not name this server's trust domain: no client of this server sends that.
    Foreign,
    /// It names this server's trust domain.
    Named,
}

#[derive(Debug, Default)]
struct Strangers {
    next: u64,
    silent: Crowd,
    foreign: Crowd,
    named: Crowd,
}

/// Connections in the same state.
#[derive(Debug, Default)]
struct Crowd {
    count: usize,
    by_origin: HashMap<AddressGroup, BTreeMap<u64, CancellationToken>>,
    /// How many an address has, and its oldest: the next to make room is the last.
    order: BTreeSet<(usize, Reverse<u64>, AddressGroup)>,
}

impl HandshakeLimits {
    /// The settings, as far as so many sockets allow.
    pub fn within(sockets: usize, limits: ConnectionLimits) -> Self {
        let total = limits.handshakes.get().min(sockets / (SILENT + 1)).max(1);
        Self { total, per_address: limits.handshakes_per_address.get().min(total) }
    }
}

impl AddressGroup {
    /// Where a connection from `address` counts.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            address => address,
        })
    }
}

impl std::fmt::Display for AddressGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

impl Handshakes {
    /// A place for a connection that was just accepted.
    pub fn begin(&self, origin: AddressGroup, limits: HandshakeLimits) -> HandshakePlace {
        let mut strangers = self.lock();
        let (number, displaced) = (strangers.next, CancellationToken::new());
        strangers.next += 1;
        let silent = HandshakeLimits {
            total: limits.total.saturating_mul(SILENT),
            per_address: limits.per_address.saturating_mul(SILENT),
        };
        strangers.silent.enter(origin, number, displaced.clone());
        make_room(&mut [&mut strangers.silent], origin, silent);
        HandshakePlace { handshakes: self.clone(), number, origin, stage: HandshakeStage::Silent, displaced }
    }

    /// How many are under way, silent connections included.
    pub fn count(&self) -> usize {
        let strangers = self.lock();
        strangers.silent.count + strangers.foreign.count + strangers.named.count
    }

    fn lock(&self) -> MutexGuard<'_, Strangers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HandshakePlace {
    /// The client has sent its ClientHello: from now on it costs memory and time.
    pub fn greeted(&mut self, greeting: Greeting, limits: HandshakeLimits) {
        self.leave();
        let mut strangers = self.handshakes.lock();
        // Its age counts from here on.
        self.number = strangers.next;
        strangers.next += 1;
        let Strangers { foreign, named, .. } = &mut *strangers;
        let crowd = match greeting {
            Greeting::Foreign => &mut *foreign,
            Greeting::Named => &mut *named,
        };
        crowd.enter(self.origin, self.number, self.displaced.clone());
        make_room(&mut [foreign, named], self.origin, limits);
        self.stage = HandshakeStage::Greeted(greeting);
    }

    /// The client has shown a good certificate: it makes room for strangers no more.
    pub fn vouched(&mut self) {
        self.leave();
        self.stage = HandshakeStage::Vouched;
    }

    fn leave(&self) {
        let mut strangers = self.handshakes.lock();
        match self.stage {
            HandshakeStage::Silent => strangers.silent.leave(self.origin, self.number),
            HandshakeStage::Greeted(Greeting::Foreign) => strangers.foreign.leave(self.origin, self.number),
            HandshakeStage::Greeted(Greeting::Named) => strangers.named.leave(self.origin, self.number),
            HandshakeStage::Vouched => {}
        }
    }
}

impl Drop for HandshakePlace {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Keeps the limits after a connection from `origin` has entered one of these crowds, whose connections share the limits.
/// The first crowd makes room before the next.
fn make_room(crowds: &mut [&mut Crowd], origin: AddressGroup, limits: HandshakeLimits) {
    if crowds.iter().map(|crowd| crowd.count_from(origin)).sum::<usize>() > limits.per_address {
        if let Some(crowd) = crowds.iter_mut().find(|crowd| crowd.count_from(origin) > 0) {
            crowd.displace_oldest(origin);
        }
    } else if crowds.iter().map(|crowd| crowd.count).sum::<usize>() > limits.total
        && let Some(crowd) = crowds.iter_mut().find(|crowd| crowd.count > 0)
        && let Some((_, _, most)) = crowd.order.last().copied()
    {
        crowd.displace_oldest(most);
    }
}

impl Crowd {
    fn enter(&mut self, origin: AddressGroup, number: u64, displaced: CancellationToken) {
        self.change(origin, |members| drop(members.insert(number, displaced)));
        self.count += 1;
    }

    fn count_from(&self, origin: AddressGroup) -> usize {
        self.by_origin.get(&origin).map_or(0, BTreeMap::len)
    }

    /// Removes a connection, unless it has made room already.
    fn leave(&mut self, origin: AddressGroup, number: u64) {
        let mut removed = false;
        self.change(origin, |members| removed = members.remove(&number).is_some());
        self.count -= usize::from(removed);
    }

    fn displace_oldest(&mut self, origin: AddressGroup) {
        let mut oldest = None;
        self.change(origin, |members| oldest = members.pop_first());
        if let Some((_, displaced)) = oldest {
            displaced.cancel();
            self.count -= 1;
        }
    }

    /// Changes an address's connections and keeps the order.
    fn change(&mut self, origin: AddressGroup, change: impl FnOnce(&mut BTreeMap<u64, CancellationToken>)) {
        let members = self.by_origin.entry(origin).or_default();
        let rank = |members: &BTreeMap<u64, _>| {
            members.first_key_value().map(|(oldest, _)| (members.len(), Reverse(*oldest), origin))
        };
        if let Some(before) = rank(members) {
            self.order.remove(&before);
        }
        change(members);
        match rank(members) {
            Some(after) => drop(self.order.insert(after)),
            None => drop(self.by_origin.remove(&origin)),
        }
    }
}

#[cfg(test)]
mod tests {
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
}
