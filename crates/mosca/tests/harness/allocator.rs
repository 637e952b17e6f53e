//! An allocator that counts what is in use, for test programs that measure the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// Sizes that are counted one by one, in steps of eight bytes; larger ones are counted together.
pub(crate) const SIZES: usize = 512;

/// Bytes in use by size.
static BYTES: [AtomicIsize; SIZES] = [const { AtomicIsize::new(0) }; SIZES];

struct Counting;

fn count(layout: Layout, sign: isize) {
    let class = (layout.size() / 8).min(SIZES - 1);
    BYTES[class].fetch_add(sign * layout.size() as isize, Relaxed);
}

#[allow(
    unsafe_code,
    reason = "passes every call on to the system's allocator, unchanged"
)]
// SAFETY: the counters do not allocate and touch no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, 1);
        // SAFETY: the caller keeps the promises about `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(layout, -1);
        // SAFETY: `at` came from `alloc` with this `layout`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes in use by size.
pub(crate) fn in_use() -> [isize; SIZES] {
    std::array::from_fn(|class| BYTES[class].load(Relaxed))
}
