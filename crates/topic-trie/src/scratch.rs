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

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.inline_len + self.spilled.len()
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
    pub(crate) fn pop(&mut self) -> Option<T> {
        if let Some(item) = self.spilled.pop() {
            return Some(item);
        }
        self.inline_len = self.inline_len.checked_sub(1)?;
        self.inline.get(self.inline_len).copied()
    }

    /// The item pushed as number `at`, if there is one.
    #[inline]
    pub(crate) fn get(&self, at: usize) -> Option<T> {
        match at.checked_sub(N) {
            None if at < self.inline_len => self.inline.get(at).copied(),
            None => None,
            Some(at) => self.spilled.get(at).copied(),
        }
    }
}
