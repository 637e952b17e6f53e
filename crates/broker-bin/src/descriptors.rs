//! Open files: each connection is one.

use std::io;

/// Descriptors for which there is room from the start, in a table of half a megabyte of the system's.
const ROOM: u64 = 65_536;

/// Lets us have as many open files as the machine allows: the usual soft limit of 1,024 is none of the
/// machine's. To be called while there is one thread.
pub(crate) fn prepare() -> io::Result<()> {
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    make_room(limit.min(ROOM));
    Ok(())
}

/// Linux doubles the table of open files whenever it is full, and when a process has several threads
/// waits for all processors first: some ten milliseconds in which nobody is accepted. One high
/// descriptor, closed at once, makes the table large while there is nobody to wait for.
fn make_room(descriptors: u64) {
    let highest = i32::try_from(descriptors.saturating_sub(1)).unwrap_or(0);
    // Without it all works as well, if not as smoothly.
    let _closed = rustix::io::fcntl_dupfd_cloexec(io::stderr(), highest);
}
