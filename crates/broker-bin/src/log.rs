//! The log on its way to stderr: by a thread of its own. Whoever reads stderr slowly, or has stopped
//! to read it, must not stop the connections whose tasks log.

mod lines;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};

use clap::ValueEnum;
use lines::Lines;
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::FilterFn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

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

impl LogFormat {
    /// All by the names that options and flags have for them.
    pub(crate) const NAMES: [(&str, Self); 3] = [
        ("pretty", Self::Pretty),
        ("json", Self::Json),
        ("pino", Self::Pino),
    ];

    /// Its name there.
    pub(crate) fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(_, format)| *format == self);
        found.map_or("", |(name, _)| name)
    }
}

/// The log, as long as it is written. When it is dropped it waits until all lines are out, for about
/// a second at most.
pub(crate) struct Log {
    lost: ErrorCounter,
    _worker: WorkerGuard,
}

impl Log {
    /// Logs up to `level` to stderr from now on.
    pub(crate) fn start(level: LevelFilter, format: LogFormat) -> Self {
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
            .with_ansi(io::stderr().is_terminal() && wants_colours(|name| std::env::var_os(name)));
        let filter = FilterFn::new(move |event| is_told(event.target(), level));
        match format {
            LogFormat::Pretty => log.finish().with(filter).init(),
            LogFormat::Json => log.event_format(Lines::Json).finish().with(filter).init(),
            LogFormat::Pino => log.event_format(Lines::pino()).finish().with(filter).init(),
        }
        ::log::set_max_level(of_libraries(level));
        Self {
            lost,
            _worker: worker,
        }
    }
}

/// Whether somebody at a terminal wants colours: not if `NO_COLOR` is set to anything (no-color.org), or the terminal
/// has none.
fn wants_colours(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let no_color = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = variable("TERM").is_some_and(|value| value == "dumb");
    !no_color && !is_dumb
}

/// Whether what a part of the program says is told up to `level`. The client of RabbitMQ calls a connection that is
/// lost an error, in several lines and with texts of the server as they came; the engine has a line for that.
fn is_told(part: &str, level: LevelFilter) -> bool {
    level >= LevelFilter::DEBUG || part.split("::").next() != Some("lapin")
}

/// What libraries say that know `log` alone, such as the engine of the store on disk: what is wrong. What
/// they do in detail is left out unless all details are wanted.
fn of_libraries(level: LevelFilter) -> ::log::LevelFilter {
    match level {
        LevelFilter::OFF => ::log::LevelFilter::Off,
        LevelFilter::ERROR => ::log::LevelFilter::Error,
        LevelFilter::WARN | LevelFilter::INFO => ::log::LevelFilter::Warn,
        LevelFilter::DEBUG => ::log::LevelFilter::Debug,
        LevelFilter::TRACE => ::log::LevelFilter::Trace,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_of_a_library_are_told_to_those_who_want_details() {
        for (part, level, expected) in [
            ("mosca::nodes", LevelFilter::ERROR, true),
            ("lapin::channels", LevelFilter::INFO, false),
            ("lapin", LevelFilter::ERROR, false),
            ("lapin::channels", LevelFilter::DEBUG, true),
            ("lapin_of_somebody", LevelFilter::WARN, true),
        ] {
            assert_eq!(is_told(part, level), expected, "{part} {level}");
        }
    }

    #[test]
    fn colours_are_for_those_who_want_them() {
        for (variables, expected) in [
            (&[][..], true),
            (&[("TERM", "xterm")], true),
            (&[("NO_COLOR", "")], true),
            (&[("NO_COLOR", "1")], false),
            (&[("NO_COLOR", "0"), ("TERM", "xterm")], false),
            (&[("TERM", "dumb")], false),
        ] {
            let variable = |name: &str| {
                let found = variables.iter().find(|(it, _)| *it == name);
                found.map(|(_, value)| OsString::from(value))
            };
            assert_eq!(wants_colours(variable), expected, "{variables:?}");
        }
    }
}
