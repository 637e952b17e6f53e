//! Who may connect: how many connections there may be in all and from one address, and how fast they may
//! come from one.
//!
//! An address is an IPv4 address or, since whoever has one of IPv6 has 2⁶⁴ of them, the first 64 bits of
//! an IPv6 address. Of an address is remembered how many connections it has open, for as long as it has
//! any, and how fast they came, for as long as that makes a difference; of how many addresses the latter is
//! remembered has a limit.

mod addresses;
mod refusals;

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use broker_core::{Rate, Timestamp};

use self::addresses::{Addresses, Origin};
pub(crate) use self::refusals::{Refusal, Refusals};
use crate::ip_network::IpNetwork;

/// Connections of a server that says nothing else.
pub(crate) const MAX_CONNECTIONS: usize = 200_000;

/// Connections of an interface that says nothing else, where each takes ten times the memory: with TLS,
/// or while requests for files are answered.
pub(crate) const MAX_LARGE_CONNECTIONS: usize = 50_000;

/// The limits of a server that hold across its interfaces.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionLimits {
    pub(crate) max_connections: usize,
    pub(crate) max_per_address: usize,
    pub(crate) rate_per_address: Option<Rate>,
    /// For whom the limits of addresses and the rates do not hold.
    pub(crate) exempt: Vec<IpNetwork>,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: MAX_CONNECTIONS,
            max_per_address: 10_000,
            rate_per_address: Some(Rate::per_sec(100).with_burst(1_000)),
            exempt: IpNetwork::loopback().into(),
        }
    }
}

/// What is known of those who are connected, and of those who were a moment ago.
pub(crate) struct Admission {
    limits: ConnectionLimits,
    addresses: Mutex<Addresses>,
}

impl Admission {
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        Self {
            limits,
            addresses: Mutex::default(),
        }
    }

    pub(crate) fn max_connections(&self) -> usize {
        self.limits.max_connections
    }

    /// Whether a connection from `address` would be one too many, or comes too soon. Otherwise it is counted
    /// against the rate of its address, and has to be [entered](Self::enter).
    pub(crate) fn check(&self, address: Option<IpAddr>, now: Timestamp) -> Result<(), Refusal> {
        let Some(origin) = self.origin(address) else {
            return Ok(());
        };
        let mut addresses = self.lock();
        let max = self.limits.max_per_address;
        if addresses.open(origin) >= max {
            return Err(Refusal::AddressFull(max));
        }
        match self.limits.rate_per_address {
            Some(rate) if !addresses.take(origin, rate, now) => Err(Refusal::AddressRate(rate)),
            _ => Ok(()),
        }
    }

    /// Whether the rates do not hold for `address`.
    pub(crate) fn is_exempt(&self, address: Option<IpAddr>) -> bool {
        self.origin(address).is_none()
    }

    /// A connection has begun.
    pub(crate) fn enter(&self, address: Option<IpAddr>) {
        if let Some(origin) = self.origin(address) {
            self.lock().enter(origin);
        }
    }

    /// It has ended.
    pub(crate) fn leave(&self, address: Option<IpAddr>) {
        if let Some(origin) = self.origin(address) {
            self.lock().leave(origin);
        }
    }

    /// As whom `address` is counted, if it is.
    fn origin(&self, address: Option<IpAddr>) -> Option<Origin> {
        let address = address?;
        let is_exempt = self.limits.exempt.iter().any(|it| it.contains(address));
        (!is_exempt).then(|| Origin::of(address))
    }

    fn lock(&self) -> MutexGuard<'_, Addresses> {
        // Nothing in here panics half-way.
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
