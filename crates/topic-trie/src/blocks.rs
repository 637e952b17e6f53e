//! A long list in blocks, which grows without moving what is in it.
//!
//! A list in one piece is copied each time it grows, under the lock of whoever grows it, and leaves
//! a hole of its old size in the heap; with dozens of them the holes take as much as the lists.

use crate::dense;

pub(crate) struct Blocks<T> {
    /// All full but the last one, and none empty.
    blocks: Vec<Vec<T>>,
}

/// Items of a block: some kilobytes.
const SIZE: usize = 64;

impl<T> Blocks<T> {
    /// Without memory until something is pushed.
    pub(crate) const fn new() -> Self {
        Self { blocks: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        let last = self.blocks.last().map_or(SIZE, Vec::len);
        (self.blocks.len() * SIZE + last).saturating_sub(SIZE)
    }

    /// The index of the next item.
    pub(crate) fn next_index(&self) -> u32 {
        dense::index(self.len())
    }

    #[inline]
    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.blocks.get(at as usize / SIZE)?.get(at as usize % SIZE)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.blocks
            .get_mut(at as usize / SIZE)?
            .get_mut(at as usize % SIZE)
    }

    /// The item at `at`, which is there.
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "whoever asks knows that it is there"
    )]
    pub(crate) fn item(&self, at: u32) -> &T {
        &self.blocks[at as usize / SIZE][at as usize % SIZE]
    }

    /// The item at `at`, which is there.
    #[expect(
        clippy::indexing_slicing,
        reason = "whoever asks knows that it is there"
    )]
    pub(crate) fn item_mut(&mut self, at: u32) -> &mut T {
        &mut self.blocks[at as usize / SIZE][at as usize % SIZE]
    }

    pub(crate) fn push(&mut self, item: T) {
        match self.blocks.last_mut().filter(|block| block.len() < SIZE) {
            Some(block) => {
                if block.len() == block.capacity() {
                    block.reserve_exact(block.len().min(SIZE - block.len()));
                }
                block.push(item);
            }
            None => {
                let mut block = Vec::with_capacity(FIRST);
                block.push(item);
                dense::push(&mut self.blocks, block);
            }
        }
    }

    /// Removes the item at `at`, which is there, and puts the last one into its place.
    pub(crate) fn swap_remove(&mut self, at: u32) -> Option<T> {
        let last = self.blocks.last_mut()?;
        let mut removed = last.pop()?;
        if last.is_empty() {
            self.blocks.pop();
            dense::shrink(&mut self.blocks);
        }
        // Unless it was the last one itself.
        if let Some(item) = self.get_mut(at) {
            std::mem::swap(item, &mut removed);
        }
        Some(removed)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten()
    }
}

/// Room of a new block, so that short lists are small.
const FIRST: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_sequence_agrees_with_a_list_in_one_piece(
            steps in prop::collection::vec((any::<prop::sample::Index>(), 0..200_usize, any::<bool>()), 1..20),
        ) {
            let mut blocks = Blocks::new();
            let mut model = Vec::new();
            for (index, count, adds) in steps {
                for item in 0..count {
                    if adds {
                        blocks.push(item);
                        model.push(item);
                    } else if !model.is_empty() {
                        let at = index.index(model.len());
                        prop_assert_eq!(blocks.swap_remove(at as u32), Some(model.swap_remove(at)));
                    }
                }
                prop_assert_eq!(blocks.len(), model.len());
                prop_assert!(blocks.iter().eq(&model));
                for (at, item) in (0..).zip(&model) {
                    prop_assert_eq!(blocks.get(at), Some(item));
                    prop_assert_eq!(blocks.get_mut(at).map(|item| *item), Some(*item));
                    prop_assert_eq!(blocks.item(at), item);
                }
                prop_assert_eq!(blocks.get(dense::index(model.len())), None);
                let room: usize = blocks.blocks.iter().map(Vec::capacity).sum();
                prop_assert!(room <= 2 * model.len() + FIRST + SIZE, "{} for {}", room, model.len());
            }
        }
    }

    #[test]
    fn what_is_not_there_is_not_removed() {
        let mut blocks = Blocks::new();
        assert_eq!(blocks.swap_remove(0), None);
        blocks.push(1);
        assert_eq!(blocks.swap_remove(0), Some(1));
        assert_eq!((blocks.len(), blocks.blocks.len()), (0, 0));
    }
}
