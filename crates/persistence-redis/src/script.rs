//! The scripts by which Redis applies and finds what must not be seen in parts.

use redis::Cmd;

/// The format that is written, and the only one that is read: the value of the key `format`.
pub(crate) const FORMAT: &str = "mosca 1";

/// Seconds for which Redis remembers what a writer has written last, should it not be heard of.
pub(crate) const WRITER_SECONDS: u64 = 30 * 24 * 3_600;

/// A script, and the name by which a server knows it that has seen it before.
#[derive(Debug)]
pub(crate) struct Script {
    text: &'static str,
    name: String,
}

/// All scripts.
#[derive(Debug)]
pub(crate) struct Scripts {
    /// Applies a group of batches.
    pub(crate) write: Script,
    /// Begins a connection of a writer.
    pub(crate) begin: Script,
    /// A step of what goes on in the background.
    pub(crate) sweep: Script,
    /// A page of sessions or wills.
    pub(crate) named: Script,
    /// A page of a queue.
    pub(crate) outgoing: Script,
    /// How much is in a queue.
    pub(crate) queue: Script,
    /// A page of retained messages.
    pub(crate) retained: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            write: Script::new(include_str!("scripts/write.lua")),
            begin: Script::new(include_str!("scripts/begin.lua")),
            sweep: Script::new(include_str!("scripts/sweep.lua")),
            named: Script::new(include_str!("scripts/named.lua")),
            outgoing: Script::new(include_str!("scripts/outgoing.lua")),
            queue: Script::new(include_str!("scripts/queue.lua")),
            retained: Script::new(include_str!("scripts/retained.lua")),
        }
    }
}

impl Script {
    fn new(text: &'static str) -> Self {
        Self {
            text,
            name: redis::Script::new(text).get_hash().to_owned(),
        }
    }

    /// The command that runs it on a server that knows it; arguments are to follow.
    pub(crate) fn by_name(&self, base: &str) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.name).arg(1).arg(base);
        command
    }

    /// The command that runs it on any server; arguments are to follow.
    pub(crate) fn by_text(&self, base: &str) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.text).arg(1).arg(base);
        command
    }

    /// The command that makes it known.
    pub(crate) fn load(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(self.text);
        command
    }
}
