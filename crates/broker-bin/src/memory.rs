//! Memory that nobody uses any more goes back to the system.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

/// How often we look for such memory.
const INTERVAL: Duration = Duration::from_secs(2);

/// Gives back what has been free for a second, for ever.
///
/// mimalloc keeps what is freed for a while, and then looks for it only after many more allocations, which a
/// broker that has become quiet does not make, or when a thread ends that has allocated something. So one does.
pub(crate) async fn give_back() {
    let mut interval = tokio::time::interval(INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        // Where there can be no thread there is no memory either, and others will say so.
        let _ends_at_once = thread::Builder::new().spawn(|| drop(black_box(Box::new(0_u8))));
    }
}
