//! The log on its way to stderr: through a buffer and a thread of its own. Whoever reads stderr slowly,
//! or has stopped to read it, must not stop the connections whose tasks log.
//!
//! ```text
//!   tasks ──► buffer, LOG_BYTES_MAX at most ──► one thread ──► stderr
//! ```
//!
//! A line for which there is no room is lost, and in its place stands how many were.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::Level;

/// Bytes that may wait for stderr: thousands of lines.
const LOG_BYTES_MAX: usize = 1 << 20;

/// Time that the end of the process waits for stderr to take the last lines.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Logs up to `level` to stderr from now on. What is returned is to be kept until the end: when it
/// is dropped it waits, for a second at most, until all lines are out.
pub(crate) fn start(level: Level) -> io::Result<Log> {
    let log = Log::start(io::stderr())?;
    let buffer = Arc::clone(&log.buffer);
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(move || Line(Arc::clone(&buffer)))
        .with_target(false)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .init();
    Ok(log)
}

/// The log, as long as it is written.
pub(crate) struct Log {
    buffer: Arc<Buffer>,
}

#[derive(Default)]
struct Buffer {
    waiting: Mutex<Waiting>,
    /// There is something to write.
    filled: Condvar,
    /// All was written.
    written: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Lines that came behind them and found no room.
    lost: u64,
    /// The thread is writing what it has taken.
    is_writing: bool,
}

/// What takes the lines, each in one piece.
struct Line(Arc<Buffer>);

impl Log {
    fn start(output: impl Write + Send + 'static) -> io::Result<Self> {
        let buffer = Arc::new(Buffer::default());
        let lines = Arc::clone(&buffer);
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || lines.write_to(output))?;
        Ok(Self { buffer })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let waiting = self.buffer.waiting();
        let is_busy = |waiting: &mut Waiting| waiting.is_writing || !waiting.is_empty();
        // Whether it was written or the time is up: it is the end.
        let _ended = self
            .buffer
            .written
            .wait_timeout_while(waiting, LAST_LINES, is_busy);
    }
}

impl Buffer {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a line for the thread, if there is room.
    fn put(&self, line: &[u8]) {
        let mut waiting = self.waiting();
        if waiting.is_empty() {
            self.filled.notify_one();
        }
        // Once lines are lost, all are until the thread has come: they stand in their order.
        if waiting.lost == 0 && waiting.lines.len() + line.len() <= LOG_BYTES_MAX {
            waiting.lines.extend_from_slice(line);
        } else {
            waiting.lost += 1;
        }
    }

    /// Writes what comes, for ever.
    fn write_to(&self, mut output: impl Write) {
        let mut waiting = self.waiting();
        loop {
            while waiting.is_empty() {
                waiting.is_writing = false;
                self.written.notify_all();
                waiting = self
                    .filled
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let lines = mem::take(&mut waiting.lines);
            let lost = mem::take(&mut waiting.lost);
            waiting.is_writing = true;
            drop(waiting);
            // Nothing is left to be done if stderr is gone.
            let _written = output.write_all(&lines);
            if lost > 0 {
                let _written = writeln!(
                    output,
                    "mosca: {lost} lines of the log were lost here, since stderr took no more"
                );
            }
            waiting = self.waiting();
        }
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.lost == 0
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// An output that tells what it is given, and takes it when it is allowed to.
    struct Gate {
        given: Sender<Vec<u8>>,
        allowed: Receiver<()>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The test may have ended.
            let _told = self.given.send(bytes.to_vec());
            let _allowed = self.allowed.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Log, Receiver<Vec<u8>>, Sender<()>) {
        let ((given, seen), (allow, allowed)) = (channel(), channel());
        let log = Log::start(Gate { given, allowed }).unwrap();
        (log, seen, allow)
    }

    #[test]
    fn lines_are_written_in_their_order_before_the_end() {
        let (log, seen, allow) = gated();
        drop(allow);
        for number in 0..1_000 {
            writeln!(Line(Arc::clone(&log.buffer)), "{number}").unwrap();
        }
        drop(log);
        let written: Vec<u8> = seen.try_iter().flatten().collect();
        let expected: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn while_nobody_reads_lines_are_lost_and_counted_and_nobody_waits() {
        let (log, seen, allow) = gated();
        log.buffer.put(b"first\n");
        assert_eq!(seen.recv().unwrap(), b"first\n");
        // From here on the output is stuck.
        let line = [b'x'; 1 << 10];
        for _ in 0..1_024 + 5 {
            log.buffer.put(&line);
        }
        log.buffer.put(b"short enough, but behind what was lost\n");
        assert_eq!(log.buffer.waiting().lines.len(), LOG_BYTES_MAX);
        allow.send(()).unwrap();
        assert_eq!(seen.recv().unwrap().len(), LOG_BYTES_MAX);
        log.buffer.put(b"later\n");
        drop(allow);
        let rest: Vec<u8> = {
            drop(log);
            seen.try_iter().flatten().collect()
        };
        let rest = String::from_utf8(rest).unwrap();
        let (lost, later) = rest.split_once('\n').unwrap();
        assert!(
            lost.starts_with("mosca: 6 lines of the log were lost"),
            "{rest}"
        );
        assert_eq!(later, "later\n");
    }

    #[test]
    fn an_output_that_is_stuck_does_not_hold_up_the_end() {
        let (log, seen, _stuck) = gated();
        log.buffer.put(b"first\n");
        assert_eq!(seen.recv().unwrap(), b"first\n");
        let begun = std::time::Instant::now();
        drop(log);
        assert!(begun.elapsed() < 20 * LAST_LINES);
    }
}
