//! Clients that come only to be there: each connects, says nothing or a part of what it should, and
//! stays. In place of one that the broker cuts off another one comes.
//!
//! They have no thread of their own, which would take a processor from the broker or from those who are measured:
//! real ones are on other machines. What they do is cut into small pieces, each due at a time of its own, and
//! whoever measures has them done one by one when there is nothing else to do.

mod manner;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};

pub use self::manner::Manner;
use crate::failure::Failure;
use crate::latency::Latency;
use crate::net::dial;

/// Connections that could not be opened in time follow closely upon each other, but no more of them than were due
/// in so long a time.
const CATCH_UP: Duration = Duration::from_millis(10);
/// A byte of each that drips is due so far apart.
const DRIP: Duration = Duration::from_secs(1);
/// Loopback addresses that they come from: each has some 28,000 ports, and a port is not free again for a
/// minute when the broker has closed the connection.
const SOURCES: u64 = 64;

/// How large a crowd, and how it behaves.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Where it connects.
    pub address: SocketAddr,
    pub manner: Manner,
    /// Connections at one time.
    pub size: usize,
    /// Connections that are opened in a second, at most.
    pub per_second: f64,
}

/// What became of a crowd.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Connections that were made.
    pub opened: u64,
    /// Of these, closed by the broker.
    pub cut_off: u64,
    /// Connections that the broker said something on.
    pub answered: u64,
    /// The most that were there at one time.
    pub most: usize,
}

/// A crowd at work.
pub struct Crowd {
    plan: Plan,
    says: Vec<u8>,
    drips: Option<u8>,
    poll: Poll,
    /// Room for one: what follows from it is a piece of work.
    event: Events,
    places: Vec<Option<Visitor>>,
    vacant: VecDeque<usize>,
    tally: Tally,
    begun_ns: u64,
    /// Bytes that were due one by one.
    dripped: u64,
    /// From when on the next connection may be opened.
    opens_ns: u64,
    /// Since when there may be events.
    noticed_ns: Option<u64>,
    /// Since when all are to go.
    dismissed_ns: Option<u64>,
    /// How late connections were opened and bytes sent.
    pub lag: Latency,
}

/// One connection.
struct Visitor {
    stream: TcpStream,
    has_spoken: bool,
    was_answered: bool,
}

/// What an event, or an attempt to send, has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

/// A few system calls on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Heed,
    Open,
    Drip,
    Leave,
}

impl Crowd {
    /// Begins to gather.
    pub fn gather(plan: Plan, now_ns: u64) -> Result<Self, Failure> {
        let (says, drips) = plan.manner.words()?;
        Ok(Self {
            plan,
            says,
            drips,
            poll: Poll::new().map_err(Failure::broken)?,
            event: Events::with_capacity(1),
            places: std::iter::repeat_with(|| None).take(plan.size).collect(),
            vacant: (0..plan.size).collect(),
            tally: Tally::default(),
            begun_ns: now_ns,
            dripped: 0,
            opens_ns: now_ns,
            noticed_ns: None,
            dismissed_ns: None,
            lag: Latency::new()?,
        })
    }

    /// Has a wait for `registry` end as `token` when something comes in for the crowd: that is to be
    /// [noticed](Self::notice).
    pub fn register(&self, registry: &Registry, token: Token) -> Result<(), Failure> {
        registry
            .register(
                &mut SourceFd(&self.poll.as_raw_fd()),
                token,
                Interest::READABLE,
            )
            .map_err(Failure::broken)
    }

    /// Something may have come in.
    pub fn notice(&mut self, now_ns: u64) {
        self.noticed_ns.get_or_insert(now_ns);
    }

    /// Tells all to go, one after the other and without a word.
    pub fn dismiss(&mut self, now_ns: u64) {
        self.dismissed_ns.get_or_insert(now_ns);
    }

    /// Whether all have come, and each has had its answer if it can expect one.
    pub fn is_complete(&self) -> bool {
        let size = self.plan.size;
        let is_answered = self.plan.manner.is_answered();
        self.tally.most == size && (!is_answered || self.tally.answered >= size as u64)
    }

    /// Whether all have gone after they were told to.
    pub fn is_gone(&self) -> bool {
        self.places.is_empty()
    }

    /// What has become of it until now.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// When the next piece of work is due, as far as that is known before anything comes in.
    pub fn due_ns(&self) -> Option<u64> {
        self.next().map(|(due_ns, _)| due_ns)
    }

    /// Does one piece of work if one is due: a few system calls, of which to connect is the longest.
    pub fn work(&mut self, now_ns: u64) -> Result<(), Failure> {
        let Some((due_ns, piece)) = self.next().filter(|(due_ns, _)| *due_ns <= now_ns) else {
            return Ok(());
        };
        if matches!(piece, Piece::Open | Piece::Drip) {
            self.lag.record(now_ns - due_ns);
        }
        match piece {
            Piece::Heed => self.heed_one(now_ns),
            Piece::Open => self.open_one(now_ns),
            Piece::Drip => {
                self.drip_one(now_ns);
                Ok(())
            }
            Piece::Leave => {
                while let Some(place) = self.places.pop()
                    && place.is_none()
                {}
                Ok(())
            }
        }
    }

    fn next(&self) -> Option<(u64, Piece)> {
        if let Some(dismissed_ns) = self.dismissed_ns {
            return (!self.is_gone()).then_some((dismissed_ns, Piece::Leave));
        }
        let heeds_ns = self.noticed_ns;
        let opens_ns = (!self.vacant.is_empty()).then(|| {
            let offset_ns = offset_ns(self.tally.opened, self.gap_ns());
            self.opens_ns.saturating_add(offset_ns)
        });
        let gap_ns = DRIP.as_nanos() as u64 / self.plan.size.max(1) as u64;
        let drips_ns = self
            .drips
            .map(|_| self.begun_ns + self.dripped * gap_ns + offset_ns(self.dripped, gap_ns));
        let all = [
            heeds_ns.map(|due_ns| (due_ns, Piece::Heed)),
            opens_ns.map(|due_ns| (due_ns, Piece::Open)),
            drips_ns.map(|due_ns| (due_ns, Piece::Drip)),
        ];
        all.into_iter().flatten().min_by_key(|(due_ns, _)| *due_ns)
    }

    /// Nanoseconds between two connections, on average.
    fn gap_ns(&self) -> u64 {
        (1e9 / self.plan.per_second) as u64
    }

    fn open_one(&mut self, now_ns: u64) -> Result<(), Failure> {
        let Some(place) = self.vacant.pop_front() else {
            return Ok(());
        };
        let earliest_ns = now_ns.saturating_sub(CATCH_UP.as_nanos() as u64);
        self.opens_ns = self.opens_ns.saturating_add(self.gap_ns());
        self.opens_ns = self.opens_ns.max(earliest_ns);
        let address = self.plan.address;
        let source = source(address.ip(), self.tally.opened);
        let mut stream = dial(address, source)
            .map_err(|error| Failure::Broken(format!("cannot connect to {address}: {error}")))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut stream, Token(place), interest)
            .map_err(Failure::broken)?;
        self.tally.opened += 1;
        if let Some(free) = self.places.get_mut(place) {
            *free = Some(Visitor {
                stream,
                has_spoken: false,
                was_answered: false,
            });
        }
        let present = self.places.len() - self.vacant.len();
        self.tally.most = self.tally.most.max(present);
        Ok(())
    }

    /// One byte of the next one, if it has begun to speak.
    fn drip_one(&mut self, now_ns: u64) {
        let place = (self.dripped % self.plan.size.max(1) as u64) as usize;
        self.dripped += 1;
        if let Some(byte) = self.drips
            && let Some(Some(visitor)) = self.places.get_mut(place)
            && visitor.has_spoken
            && visitor.say(&[byte]) == State::Closed
        {
            self.leave(place, now_ns);
        }
    }

    /// One event, if there is one.
    fn heed_one(&mut self, now_ns: u64) -> Result<(), Failure> {
        match self.poll.poll(&mut self.event, Some(Duration::ZERO)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled.map_err(Failure::broken)?,
        }
        let Some(event) = self.event.iter().next() else {
            self.noticed_ns = None;
            return Ok(());
        };
        let place = event.token().0;
        if let Some(Some(visitor)) = self.places.get_mut(place) {
            let was_answered = visitor.was_answered;
            let state = visitor.heed(event, &self.says);
            self.tally.answered += u64::from(visitor.was_answered && !was_answered);
            if state == State::Closed {
                self.leave(place, now_ns);
            }
        }
        Ok(())
    }

    fn leave(&mut self, place: usize, now_ns: u64) {
        if let Some(visitor) = self.places.get_mut(place) {
            *visitor = None;
        }
        if self.vacant.is_empty() {
            // What could not be opened before for want of a place is not made up for.
            self.opens_ns = self.opens_ns.max(now_ns);
        }
        self.vacant.push_back(place);
        self.tally.cut_off += 1;
    }
}

impl Visitor {
    fn heed(&mut self, event: &Event, says: &[u8]) -> State {
        if event.is_writable() && !self.has_spoken {
            self.has_spoken = true;
            if self.say(says) == State::Closed {
                return State::Closed;
            }
        }
        if event.is_readable() || event.is_error() || event.is_read_closed() {
            return self.hear(event.is_error() || event.is_read_closed());
        }
        State::Open
    }

    /// There is always room for so little.
    fn say(&mut self, bytes: &[u8]) -> State {
        match self.stream.write(bytes) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => State::Closed,
            _ => State::Open,
        }
    }

    /// Reads what there is, and forgets it: if `is_over` up to the end, otherwise less than a full buffer is all.
    fn hear(&mut self, is_over: bool) -> State {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return State::Closed,
                Ok(count) => {
                    self.was_answered = true;
                    if count < buffer.len() && !is_over {
                        return State::Open;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return State::Open,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return State::Closed,
            }
        }
    }
}

/// Where in its share of time, which is as long as `gap_ns`, number `number` is due: spread evenly, but never in
/// step with others who do something at a fixed rate.
fn offset_ns(number: u64, gap_ns: u64) -> u64 {
    // Multiples of the golden ratio, of which the fractions are taken.
    let fraction = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    (fraction as f64 / f64::from(u32::MAX) * gap_ns as f64) as u64
}

/// The address that connection `number` comes from: 127.1.0.1 and up, where it goes to loopback.
fn source(target: IpAddr, number: u64) -> Option<Ipv4Addr> {
    let last = u8::try_from(1 + number % SOURCES).ok()?;
    (target.is_loopback() && target.is_ipv4()).then(|| Ipv4Addr::new(127, 1, 0, last))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Instant;

    use super::*;

    fn gather(listener: &TcpListener, manner: Manner) -> Crowd {
        let plan = Plan {
            address: listener.local_addr().unwrap(),
            manner,
            size: 3,
            per_second: 1000.0,
        };
        Crowd::gather(plan, 0).unwrap()
    }

    /// Has the crowd, which came at `begin`, do what is due until something is so. Its time goes by quickly.
    fn work_until(
        (crowd, begin): (&mut Crowd, Instant),
        what: &str,
        mut is_so: impl FnMut(&Crowd) -> bool,
    ) {
        while !is_so(crowd) {
            assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
            let now_ns = 20 * begin.elapsed().as_nanos() as u64;
            crowd.notice(now_ns);
            crowd.work(now_ns).unwrap();
            std::thread::yield_now();
        }
    }

    #[test]
    fn who_is_cut_off_comes_again_and_all_leave_when_they_are_dismissed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut crowd, begin) = (gather(&listener, Manner::Nothing), Instant::now());
        work_until((&mut crowd, begin), "all come", Crowd::is_complete);
        let accept = || listener.accept().unwrap().0;
        let mut here = [accept(), accept(), accept()];
        here[0].shutdown(std::net::Shutdown::Both).unwrap();
        work_until((&mut crowd, begin), "another one comes", |crowd| {
            crowd.tally().opened == 4
        });
        here[0] = accept();
        crowd.dismiss(0);
        assert!(!crowd.is_gone());
        work_until((&mut crowd, begin), "all are gone", Crowd::is_gone);
        assert_eq!(crowd.due_ns(), None);
        for stream in &mut here {
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it says nothing");
        }
        let tally = crowd.tally();
        assert_eq!((tally.opened, tally.cut_off, tally.most), (4, 1, 3));
        assert_eq!(tally.answered, 0);
    }

    #[test]
    fn who_drips_goes_on_byte_by_byte() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (mut crowd, begin) = (gather(&listener, Manner::Connect), Instant::now());
        let (words, byte) = Manner::Connect.words().unwrap();
        work_until((&mut crowd, begin), "one comes", |crowd| {
            crowd.tally().opened == 1
        });
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let expected = [words, vec![byte.unwrap(); 2]].concat();
        let mut heard = Vec::new();
        work_until((&mut crowd, begin), "two bytes more", |_| {
            // What there is; that there is no more for now is an error.
            let _ = stream.read_to_end(&mut heard);
            heard.len() >= expected.len()
        });
        assert_eq!(heard[..expected.len()], expected);
    }

    #[test]
    fn nothing_is_done_before_its_time_and_one_thing_at_a_time_after_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut crowd = gather(&listener, Manner::Nothing);
        for number in 0..3 {
            let due_ns = crowd.due_ns().unwrap();
            let share = number * 1_000_000..(number + 1) * 1_000_000;
            assert!(share.contains(&due_ns), "{due_ns}");
            for (now_ns, opened) in [
                (
                    due_ns.saturating_sub(1),
                    if due_ns > 0 { number } else { 1 },
                ),
                (due_ns, number + 1),
                (due_ns, number + 1),
            ] {
                crowd.work(now_ns).unwrap();
                assert_eq!(crowd.tally().opened, opened);
            }
        }
        assert_eq!(crowd.due_ns(), None, "all are there");
    }

    #[test]
    fn what_was_late_by_more_than_a_moment_is_not_made_up_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut crowd = gather(&listener, Manner::Nothing);
        crowd.work(5_000_000_000).unwrap();
        assert!(crowd.due_ns() >= Some(4_990_000_000));
    }

    #[test]
    fn times_in_a_row_are_spread_over_all_of_their_share() {
        let mut tenths = [0; 10];
        for number in 0..1000 {
            tenths[(offset_ns(number, 1_000) / 100).min(9) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (90..=110).contains(count)));
    }
}
