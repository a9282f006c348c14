//! Places for connections that have not shown a certificate yet, shared fairly between addresses.
//!
//! A stranger costs nothing to whoever sends one, so a new connection always gets a place. When there are too many, one
//! makes room: the oldest of the address that has the most. A silent connection, which has sent no ClientHello, costs
//! a socket only; there are more places for those, so a client has time to send its first message.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::config::Limits;

/// Silent connections for each handshake that may be under way.
const SILENT: usize = 8;

/// An address whose connections share limits: one IPv4 address, or one IPv6 network of 64 bits, which is what one
/// customer has at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(IpAddr);

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
    origin: Origin,
    stage: HandshakeStage,
    /// Cancelled when others need the place.
    pub displaced: CancellationToken,
}

/// How far a handshake has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HandshakeStage {
    Silent,
    Greeted,
    Vouched,
}

#[derive(Debug, Default)]
struct Strangers {
    next: u64,
    silent: Crowd,
    greeted: Crowd,
}

/// Connections in the same state.
#[derive(Debug, Default)]
struct Crowd {
    count: usize,
    by_origin: HashMap<Origin, BTreeMap<u64, CancellationToken>>,
    /// How many an address has, and its oldest: the next to make room is the last.
    order: BTreeSet<(usize, Reverse<u64>, Origin)>,
}

impl HandshakeLimits {
    /// The settings, as far as so many sockets allow.
    pub fn within(sockets: usize, limits: Limits) -> Self {
        let total = limits.handshakes.get().min(sockets / (SILENT + 1)).max(1);
        Self { total, per_address: limits.handshakes_per_address.get().min(total) }
    }
}

impl Origin {
    /// Where a connection from `address` counts.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
            address => address,
        })
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

impl Handshakes {
    /// A place for a connection that was just accepted.
    pub fn begin(&self, origin: Origin, limits: HandshakeLimits) -> HandshakePlace {
        let mut strangers = self.lock();
        let (number, displaced) = (strangers.next, CancellationToken::new());
        strangers.next += 1;
        let silent = HandshakeLimits {
            total: limits.total.saturating_mul(SILENT),
            per_address: limits.per_address.saturating_mul(SILENT),
        };
        strangers.silent.enter(origin, number, displaced.clone(), silent);
        HandshakePlace { handshakes: self.clone(), number, origin, stage: HandshakeStage::Silent, displaced }
    }

    /// How many are under way, silent connections included.
    pub fn count(&self) -> usize {
        let strangers = self.lock();
        strangers.silent.count + strangers.greeted.count
    }

    fn lock(&self) -> MutexGuard<'_, Strangers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HandshakePlace {
    /// The client has sent its ClientHello: from now on it costs memory and time.
    pub fn greeted(&mut self, limits: HandshakeLimits) {
        self.leave();
        let mut strangers = self.handshakes.lock();
        // Its age counts from here on.
        self.number = strangers.next;
        strangers.next += 1;
        strangers.greeted.enter(self.origin, self.number, self.displaced.clone(), limits);
        self.stage = HandshakeStage::Greeted;
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
            HandshakeStage::Greeted => strangers.greeted.leave(self.origin, self.number),
            HandshakeStage::Vouched => {}
        }
    }
}

impl Drop for HandshakePlace {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Crowd {
    fn enter(&mut self, origin: Origin, number: u64, displaced: CancellationToken, limits: HandshakeLimits) {
        self.change(origin, |members| drop(members.insert(number, displaced)));
        self.count += 1;
        if self.by_origin.get(&origin).is_some_and(|members| members.len() > limits.per_address) {
            self.displace_oldest(origin);
        } else if self.count > limits.total
            && let Some((_, _, most)) = self.order.last().copied()
        {
            self.displace_oldest(most);
        }
    }

    /// Removes a connection, unless it has made room already.
    fn leave(&mut self, origin: Origin, number: u64) {
        let mut removed = false;
        self.change(origin, |members| removed = members.remove(&number).is_some());
        self.count -= usize::from(removed);
    }

    fn displace_oldest(&mut self, origin: Origin) {
        let mut oldest = None;
        self.change(origin, |members| oldest = members.pop_first());
        if let Some((_, displaced)) = oldest {
            displaced.cancel();
            self.count -= 1;
        }
    }

    /// Changes an address's connections and keeps the order.
    fn change(&mut self, origin: Origin, change: impl FnOnce(&mut BTreeMap<u64, CancellationToken>)) {
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

    fn origin(last: u8) -> Origin {
        Origin::of(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn an_ipv6_customer_is_one_address_and_a_mapped_ipv4_address_is_itself() {
        let of = |text: &str| Origin::of(text.parse().unwrap());
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
            place.greeted(LIMITS);
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
        client.greeted(LIMITS);
        client.vouched();
        let flood: Vec<_> = (0..10)
            .map(|_| {
                let mut place = handshakes.begin(origin(1), LIMITS);
                place.greeted(LIMITS);
                place
            })
            .collect();
        assert!(!client.displaced.is_cancelled());
        // While it is told that it is one too many, it counts again.
        client.greeted(LIMITS);
        assert!(flood.iter().filter(|place| !place.displaced.is_cancelled()).count() < LIMITS.per_address);
        drop(flood);
        assert_eq!(handshakes.count(), 1);
    }

    #[test]
    fn a_silent_connection_takes_no_place_from_one_that_speaks() {
        let handshakes = Handshakes::default();
        let mut speaking = handshakes.begin(origin(1), LIMITS);
        speaking.greeted(LIMITS);
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
                    2 if index < places.len() => places[index].greeted(LIMITS),
                    4 if index < places.len() => places[index].vouched(),
                    3 if index < places.len() => drop(places.swap_remove(index)),
                    _ => {}
                }
                let strangers = handshakes.lock();
                for (crowd, limit) in [(&strangers.silent, LIMITS.total * SILENT), (&strangers.greeted, LIMITS.total)] {
                    let members = crowd.by_origin.values().map(BTreeMap::len).sum::<usize>();
                    prop_assert_eq!(crowd.count, members);
                    prop_assert!(crowd.count <= limit);
                    prop_assert_eq!(crowd.order.len(), crowd.by_origin.len());
                }
            }
            drop(places);
            prop_assert_eq!(handshakes.count(), 0);
        }
    }
}
