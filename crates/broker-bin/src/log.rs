//! The log on its way to stderr: by a thread of its own. Whoever reads stderr slowly, or has stopped
//! to read it, must not stop the connections whose tasks log.

mod lines;

use std::io::{self, IsTerminal as _};

use ::log::LevelFilter;
use clap::ValueEnum;
use lines::Lines;
use tracing::Level;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};

/// Lines that may wait for stderr. Further ones are lost and counted. Room for all of them is taken at the
/// start, 32 bytes for each.
const LINES_MAX: usize = 2_000;

/// What the lines look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people; coloured on a terminal
    #[default]
    Pretty,
    /// An object of JSON on each line
    Json,
    /// The same with the names of pino, for its tools
    Pino,
}

/// The log, as long as it is written. When it is dropped it waits until all lines are out, for about
/// a second at most.
pub(crate) struct Log {
    lost: ErrorCounter,
    _worker: WorkerGuard,
}

impl Log {
    /// Logs up to `level` to stderr from now on.
    pub(crate) fn start(level: Level, format: LogFormat) -> Self {
        let (lines, worker) = NonBlockingBuilder::default()
            .buffered_lines_limit(LINES_MAX)
            .lossy(true)
            .thread_name("log")
            .finish(io::stderr());
        let lost = lines.error_counter();
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(lines)
            .with_target(false)
            .with_ansi(io::stderr().is_terminal());
        match format {
            LogFormat::Pretty => log.init(),
            LogFormat::Json => log.event_format(Lines::Json).init(),
            LogFormat::Pino => log.event_format(Lines::pino()).init(),
        }
        ::log::set_max_level(of_libraries(level));
        Self {
            lost,
            _worker: worker,
        }
    }
}

/// What libraries say that know `log` alone, such as the engine of the store on disk: what is wrong. What
/// they do in detail is left out unless all details are wanted.
fn of_libraries(level: Level) -> LevelFilter {
    match level {
        Level::ERROR => LevelFilter::Error,
        Level::WARN | Level::INFO => LevelFilter::Warn,
        Level::DEBUG => LevelFilter::Debug,
        Level::TRACE => LevelFilter::Trace,
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let lost = self.lost.dropped_lines();
        if lost > 0 {
            tracing::warn!(lost, "lines of the log were lost: stderr took no more");
        }
    }
}
