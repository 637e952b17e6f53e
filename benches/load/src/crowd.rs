//! Clients that come only to be there: each connects, says nothing or a part of what it should, and
//! stays. In place of one that the broker cuts off another one comes.
//!
//! They have a thread and an event loop of their own, so that those who are measured do not wait for them.

mod manner;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

pub use self::manner::Manner;
use crate::failure::Failure;
use crate::net::dial;

/// Connections that are due are opened, and bytes sent, so far apart.
const TICK: Duration = Duration::from_millis(1);
/// Events taken at a time.
const EVENTS: usize = 1024;
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

/// What passes between a crowd and who has gathered it.
#[derive(Default)]
struct Signs {
    /// All have come, and each has had the answer that it waits for.
    is_complete: AtomicBool,
    /// All are to go.
    is_over: AtomicBool,
}

/// A crowd at work.
pub struct Crowd {
    signs: Arc<Signs>,
    thread: JoinHandle<Result<Tally, Failure>>,
}

impl Crowd {
    /// Begins to gather.
    pub fn gather(plan: Plan) -> Result<Self, Failure> {
        let signs = Arc::new(Signs::default());
        let mut visitors = Visitors::new(plan)?;
        let seen = Arc::clone(&signs);
        let thread = std::thread::Builder::new()
            .name("crowd".to_owned())
            .spawn(move || visitors.stay(&seen))
            .map_err(Failure::broken)?;
        Ok(Self { signs, thread })
    }

    /// Tells all to go, at once and without a word.
    pub fn dismiss(&self) {
        self.signs.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether all have come, and each has had its answer if it can expect one.
    pub fn is_complete(&self) -> bool {
        self.signs.is_complete.load(Ordering::Relaxed)
    }

    /// Whether all are gone.
    pub fn is_gone(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until all are gone. They have to be [dismissed](Self::dismiss) before.
    pub fn tally(self) -> Result<Tally, Failure> {
        match self.thread.join() {
            Ok(tally) => tally,
            Err(_) => Err(Failure::broken("the crowd has panicked")),
        }
    }
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

struct Visitors {
    plan: Plan,
    says: Vec<u8>,
    drips: Option<u8>,
    poll: Poll,
    places: Vec<Option<Visitor>>,
    vacant: VecDeque<usize>,
    tally: Tally,
    /// Bytes that were due one by one.
    dripped: u64,
    /// Connections that may be opened now.
    allowance: f64,
}

impl Visitors {
    fn new(plan: Plan) -> Result<Self, Failure> {
        let (says, drips) = plan.manner.words()?;
        Ok(Self {
            plan,
            says,
            drips,
            poll: Poll::new().map_err(Failure::broken)?,
            places: std::iter::repeat_with(|| None).take(plan.size).collect(),
            vacant: (0..plan.size).collect(),
            tally: Tally::default(),
            dripped: 0,
            allowance: 0.0,
        })
    }

    fn stay(&mut self, signs: &Signs) -> Result<Tally, Failure> {
        let mut events = Events::with_capacity(EVENTS);
        let begin = Instant::now();
        let mut last = Duration::ZERO;
        while !signs.is_over.load(Ordering::Relaxed) {
            let now = begin.elapsed();
            self.open_due(now - last)?;
            self.drip_due(now);
            last = now;
            match self.poll.poll(&mut events, Some(TICK)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => {
                    return Err(Failure::broken(error));
                }
                _ => {}
            }
            for event in &events {
                self.heed(event);
            }
            if self.is_complete() {
                signs.is_complete.store(true, Ordering::Relaxed);
            }
        }
        self.places.clear();
        Ok(self.tally)
    }

    fn is_complete(&self) -> bool {
        let size = self.plan.size;
        let is_answered = self.plan.manner.is_answered();
        self.tally.most == size && (!is_answered || self.tally.answered >= size as u64)
    }

    /// Opens what may be opened after so long a time.
    fn open_due(&mut self, elapsed: Duration) -> Result<(), Failure> {
        let most = (self.plan.per_second / 100.0).max(1.0);
        self.allowance = (self.allowance + elapsed.as_secs_f64() * self.plan.per_second).min(most);
        while self.allowance >= 1.0
            && let Some(place) = self.vacant.pop_front()
        {
            self.allowance -= 1.0;
            self.open(place)?;
        }
        let present = self.places.len() - self.vacant.len();
        self.tally.most = self.tally.most.max(present);
        Ok(())
    }

    fn open(&mut self, place: usize) -> Result<(), Failure> {
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
        Ok(())
    }

    /// One byte of each that has begun to speak in a second, evenly spread.
    fn drip_due(&mut self, now: Duration) {
        let Some(byte) = self.drips else { return };
        let size = self.places.len() as u64;
        let due = (now.as_secs_f64() * size as f64) as u64;
        while self.dripped < due {
            let place = (self.dripped % size) as usize;
            self.dripped += 1;
            if let Some(Some(visitor)) = self.places.get_mut(place)
                && visitor.has_spoken
                && visitor.say(&[byte]) == State::Closed
            {
                self.leave(place);
            }
        }
    }

    fn heed(&mut self, event: &Event) {
        let place = event.token().0;
        let Some(Some(visitor)) = self.places.get_mut(place) else {
            return;
        };
        let mut state = State::Open;
        if event.is_writable() && !visitor.has_spoken {
            visitor.has_spoken = true;
            state = visitor.say(&self.says);
        }
        if event.is_readable() || event.is_error() || event.is_read_closed() {
            let was_answered = visitor.was_answered;
            let heard = visitor.hear();
            self.tally.answered += u64::from(visitor.was_answered && !was_answered);
            if heard == State::Closed {
                state = heard;
            }
        }
        if state == State::Closed {
            self.leave(place);
        }
    }

    fn leave(&mut self, place: usize) {
        if let Some(visitor) = self.places.get_mut(place) {
            *visitor = None;
        }
        self.vacant.push_back(place);
        self.tally.cut_off += 1;
    }
}

impl Visitor {
    /// There is always room for so little.
    fn say(&mut self, bytes: &[u8]) -> State {
        match self.stream.write(bytes) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => State::Closed,
            _ => State::Open,
        }
    }

    /// Reads what there is, and forgets it.
    fn hear(&mut self) -> State {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return State::Closed,
                Ok(_) => self.was_answered = true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return State::Open,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return State::Closed,
            }
        }
    }
}

/// The address that connection `number` comes from: 127.1.0.1 and up, where it goes to loopback.
fn source(target: IpAddr, number: u64) -> Option<Ipv4Addr> {
    let last = u8::try_from(1 + number % SOURCES).ok()?;
    (target.is_loopback() && target.is_ipv4()).then(|| Ipv4Addr::new(127, 1, 0, last))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn until(what: &str, is_so: impl Fn() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::yield_now();
        }
    }

    fn gather(listener: &TcpListener, manner: Manner) -> Crowd {
        Crowd::gather(Plan {
            address: listener.local_addr().unwrap(),
            manner,
            size: 3,
            per_second: 1000.0,
        })
        .unwrap()
    }

    #[test]
    fn who_is_cut_off_comes_again_and_all_leave_when_they_are_dismissed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let crowd = gather(&listener, Manner::Nothing);
        let accept = || listener.accept().unwrap().0;
        let mut here = [accept(), accept(), accept()];
        here[0] = accept_after_closing(&mut here[0], &listener);
        crowd.dismiss();
        for stream in &mut here {
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "it says nothing");
        }
        until("all are gone", || crowd.is_gone());
        let tally = crowd.tally().unwrap();
        assert_eq!((tally.opened, tally.cut_off, tally.most), (4, 1, 3));
        assert_eq!(tally.answered, 0);
    }

    fn accept_after_closing(
        stream: &mut std::net::TcpStream,
        listener: &TcpListener,
    ) -> std::net::TcpStream {
        stream.shutdown(std::net::Shutdown::Both).unwrap();
        listener.accept().unwrap().0
    }

    #[test]
    fn who_drips_goes_on_byte_by_byte() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let crowd = gather(&listener, Manner::Connect);
        let (words, byte) = Manner::Connect.words().unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = vec![0; words.len() + 2];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(heard, [words, vec![byte.unwrap(); 2]].concat());
        crowd.dismiss();
        assert!(crowd.tally().unwrap().opened >= 1);
    }
}
