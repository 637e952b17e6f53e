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

    /// All items, in two parts: a loop over each is cheaper than an iterator that has to ask at each
    /// item which part it is in.
    #[inline]
    pub(crate) fn parts(&self) -> [&[T]; 2] {
        let inline = self.inline.get(..self.inline_len).unwrap_or_default();
        [inline, &self.spilled]
    }

    #[inline]
    pub(crate) fn parts_mut(&mut self) -> [&mut [T]; 2] {
        let inline = self.inline.get_mut(..self.inline_len).unwrap_or_default();
        [inline, &mut self.spilled]
    }
}
