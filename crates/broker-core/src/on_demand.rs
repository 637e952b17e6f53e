//! What most sessions never need costs them a pointer: it is allocated when it is first changed.

use core::ops::{Deref, DerefMut};

/// A type whose empty value is there once for all.
pub(crate) trait Empty: Default + 'static {
    /// The value that [`Default`] gives.
    const EMPTY: &'static Self;
}

/// A value that is empty, and owns no memory, until it is borrowed to be changed.
#[derive(Debug)]
pub(crate) struct OnDemand<T>(Option<Box<T>>);

impl<T> Default for OnDemand<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> OnDemand<T> {
    /// The value, to be done with.
    pub(crate) fn take(&mut self) -> T
    where
        T: Default,
    {
        self.0.take().map_or_else(T::default, |value| *value)
    }

    /// The value, if it has been changed.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.as_deref()
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

impl<T: Empty> Deref for OnDemand<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::EMPTY)
    }
}

impl<T: Empty> DerefMut for OnDemand<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}
