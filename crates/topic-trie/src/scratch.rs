//! A short list on the stack that moves to the heap only when it grows past `N` items.

use std::array;

pub(crate) struct Scratch<T, const N: usize> {
    inline: [T; N],
    inline_len: usize,
    spilled: Vec<T>,
}

impl<T: Copy + Default, const N: usize> Scratch<T, N> {
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            inline: array::from_fn(|_| T::default()),
            inline_len: 0,
            spilled: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.inline_len == 0
    }

    /// Whether the next item goes to the heap.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.inline_len == N
    }

    #[inline]
    pub(crate) fn push(&mut self, item: T) {
        match self.inline.get_mut(self.inline_len) {
            Some(place) => {
                *place = item;
                self.inline_len += 1;
            }
            None => self.spilled.push(item),
        }
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.inline_len = 0;
        self.spilled.clear();
    }

    #[inline]
    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        let inline = self.inline.get(..self.inline_len).unwrap_or_default();
        inline.iter().chain(&self.spilled).copied()
    }
}
