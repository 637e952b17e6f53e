//! How the lists of this crate grow and shrink: by a quarter, so that at most a fifth of a long
//! list is unused, and back once three quarters of it are.

pub(crate) fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() && list.len() >= SMALL {
        list.reserve_exact(list.len() / 4);
    }
    list.push(item);
}

pub(crate) fn shrink<T>(list: &mut Vec<T>) {
    if list.capacity() > SMALL && list.len() < list.capacity() / 4 {
        list.shrink_to(list.len() + list.len() / 4);
    }
}

/// The index of the next item of a list.
///
/// # Panics
/// At 2³¹ − 1 items, which take more than 50 GB.
pub(crate) fn next_index<T>(list: &[T]) -> u32 {
    index(list.len())
}

/// The index of the next item of a list of this length, as [`next_index`].
#[expect(clippy::expect_used, reason = "memory ends long before the indices do")]
pub(crate) fn index(length: usize) -> u32 {
    u32::try_from(length)
        .ok()
        .filter(|&index| index < NONE >> 1)
        .expect("fewer than 2^31 - 1")
}

/// Stands for "no index".
pub(crate) const NONE: u32 = u32::MAX;

/// Lists up to this length are not worth shrinking.
pub(crate) const SMALL: usize = 32;
