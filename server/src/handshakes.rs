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
mod tests;
