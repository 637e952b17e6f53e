//! Connections that were refused: why, counted, and said in the log without flooding it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use broker_core::{Escaped, Rate, Timestamp};

/// A series of refusals is over when there was none for so long, in milliseconds; the first of the next
/// one is a warning again.
const QUIET_MILLIS: u64 = 60_000;

/// Why a connection is closed as soon as it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its interface has as many as it may have.
    InterfaceFull(usize),
    /// The server has.
    ServerFull(usize),
    /// Its address has.
    AddressFull(usize),
    /// They come too fast from its address.
    AddressRate(Rate),
    /// They come too fast on its interface.
    InterfaceRate(Rate),
}

/// What the log says of it.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InterfaceFull(max) => write!(f, "the interface has {max}"),
            Self::ServerFull(max) => write!(f, "the server has {max}"),
            Self::AddressFull(max) => write!(f, "the address has {max}"),
            Self::AddressRate(rate) => {
                write!(f, "the address may open {} in a second", rate.each_sec())
            }
            Self::InterfaceRate(rate) => {
                write!(f, "the interface takes {} in a second", rate.each_sec())
            }
        }
    }
}

/// The refusals of one server.
#[derive(Default)]
pub(crate) struct Refusals {
    interface_full: Series,
    server_full: Series,
    address_full: Series,
    address_rate: Series,
    interface_rate: Series,
}

/// Refusals for one reason.
#[derive(Default)]
struct Series {
    number: AtomicU64,
    /// When the last one was, in milliseconds; 0 for never.
    last: AtomicU64,
}

impl Refusals {
    /// Counts and logs one.
    pub(crate) fn note(
        &self,
        refusal: Refusal,
        peer: &dyn fmt::Display,
        interface: &dyn fmt::Display,
        now: Timestamp,
    ) {
        if self.series(refusal).note(now) {
            tracing::warn!(
                %peer,
                %interface,
                "too many connections, new ones are closed: {}", Escaped(refusal)
            );
        } else {
            tracing::debug!(%peer, %interface, "one connection too many: {}", Escaped(refusal));
        }
    }

    /// Because the interface or the server was full.
    pub(crate) fn full(&self) -> u64 {
        self.interface_full.get() + self.server_full.get()
    }

    /// Because the address had too many.
    pub(crate) fn per_address(&self) -> u64 {
        self.address_full.get()
    }

    /// Because they came too fast.
    pub(crate) fn rate(&self) -> u64 {
        self.address_rate.get() + self.interface_rate.get()
    }

    fn series(&self, refusal: Refusal) -> &Series {
        match refusal {
            Refusal::InterfaceFull(_) => &self.interface_full,
            Refusal::ServerFull(_) => &self.server_full,
            Refusal::AddressFull(_) => &self.address_full,
            Refusal::AddressRate(_) => &self.address_rate,
            Refusal::InterfaceRate(_) => &self.interface_rate,
        }
    }
}

impl Series {
    /// Counts one; true if it is the first of its series.
    fn note(&self, now: Timestamp) -> bool {
        self.number.fetch_add(1, Ordering::Relaxed);
        let now = now.as_millis().max(1);
        let last = self.last.swap(now, Ordering::Relaxed);
        last == 0 || now.saturating_sub(last) >= QUIET_MILLIS
    }

    fn get(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_begins_anew_after_a_quiet_minute() {
        let series = Series::default();
        let firsts = [5, 6, 59_999, 119_998, 179_998, 180_000].map(|millis| {
            let now = Timestamp::from_millis(millis);
            series.note(now)
        });
        assert_eq!(firsts, [true, false, false, false, true, false]);
        assert_eq!(series.get(), 6);
    }
}
