//! Whether the store does what it is asked for, as the operator is told: once for each change, however
//! many clients meet it.

use std::sync::atomic::{AtomicU8, Ordering};

use broker_core::Escaped;
use broker_core::persistence::PersistenceError;

/// It did what it was asked for last.
const WELL: u8 = 0;

/// What the store has last answered.
#[derive(Debug, Default)]
pub(crate) struct StoreHealth(AtomicU8);

impl StoreHealth {
    /// It has refused something, or could not be read.
    pub(crate) fn note_failure(&self, error: &PersistenceError) {
        let trouble = match error {
            PersistenceError::Unavailable(_) => 1,
            PersistenceError::Full(_) => 2,
            PersistenceError::Damaged(_) => 3,
            _ => 4,
        };
        if self.0.swap(trouble, Ordering::Relaxed) == trouble {
            tracing::debug!(error = %Escaped(error), "the store has failed again");
        } else {
            tracing::error!(
                error = %Escaped(error),
                "the store fails: what has to be stored is refused and not acknowledged until it is back"
            );
        }
    }

    /// It has stored something.
    #[inline]
    pub(crate) fn note_success(&self) {
        if self.0.load(Ordering::Relaxed) != WELL && self.0.swap(WELL, Ordering::Relaxed) != WELL {
            tracing::info!("the store takes what it is given again");
        }
    }
}
