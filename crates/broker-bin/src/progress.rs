//! How far a long piece of work has come: a bar on a terminal, plain lines elsewhere. Both go to
//! stderr; what was asked for goes to stdout.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{ProgressBar, ProgressStyle};

/// Plain lines come with every tenth of the work.
const TENTHS: u64 = 10;

/// Or with so many things, where nobody knows how many there are.
const COUNTED: u64 = 10_000;

/// What is shown of one piece of work.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    /// What is being done, and how many tenths of it were said to be done.
    said: (String, u64),
}

impl Progress {
    /// Nothing is shown yet.
    pub(crate) fn start() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg:12} [{wide_bar}] {pos}/{len} {eta}");
            let bar = ProgressBar::new(0);
            // The template is one of ours; without it the bar has another look.
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self {
            bar,
            said: (String::new(), 0),
        }
    }

    /// So much of it is done.
    pub(crate) fn show(&mut self, doing: &str, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_message(doing.to_owned());
            bar.set_length(total);
            bar.set_position(done);
        } else if let Some(line) = self.line(doing, done, total) {
            // Nobody has to read it.
            let _written = writeln!(io::stderr(), "{line}");
        }
    }

    /// What is to be said, if it is time to say something.
    fn line(&mut self, doing: &str, done: u64, total: u64) -> Option<String> {
        let tenths = done
            .saturating_mul(TENTHS)
            .checked_div(total)
            .unwrap_or_default();
        if self.said.0 == doing && self.said.1 == tenths {
            return None;
        }
        self.said = (doing.to_owned(), tenths);
        Some(format!("{doing}: {done} of {total}"))
    }

    /// So much is done of nobody knows how much.
    pub(crate) fn count(&mut self, doing: &str, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_style(ProgressStyle::default_spinner());
            bar.set_message(format!("{doing}: {done}"));
            bar.tick();
        } else if done >= self.said.1.saturating_add(COUNTED) {
            self.said.1 = done;
            // Nobody has to read it.
            let _written = writeln!(io::stderr(), "{doing}: {done}");
        }
    }

    /// What goes on, in words; on a terminal in the place of those before.
    pub(crate) fn now(&mut self, line: &str) {
        if let Some(bar) = &self.bar {
            let style = ProgressStyle::with_template("{wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_message(line.to_owned());
            bar.tick();
        } else {
            // Nobody has to read it.
            let _written = writeln!(io::stderr(), "{line}");
        }
    }

    /// Something that has to be said in between.
    pub(crate) fn say(&self, line: &str) {
        let say = || {
            // Nobody has to read it.
            let _written = writeln!(io::stderr(), "{line}");
        };
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    /// It is over: the bar makes way for the result.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_with_every_tenth_and_with_new_work() {
        let mut progress = Progress {
            bar: None,
            said: (String::new(), 0),
        };
        let mut lines = Vec::new();
        for done in 0..=100 {
            lines.extend(progress.line("checking", done * 3, 300));
        }
        lines.extend(progress.line("opening", 300, 300));
        assert_eq!(lines.len(), 12, "{lines:?}");
        assert_eq!(lines[0], "checking: 0 of 300");
        assert_eq!(lines[10], "checking: 300 of 300");
        assert_eq!(lines[11], "opening: 300 of 300");
    }

    #[test]
    fn work_of_no_size_is_said_once() {
        let mut progress = Progress {
            bar: None,
            said: (String::new(), 0),
        };
        assert_eq!(progress.line("x", 0, 0).as_deref(), Some("x: 0 of 0"));
        assert_eq!(progress.line("x", 0, 0), None);
    }
}
