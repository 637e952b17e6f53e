//! The store in memory: what the broker's side of a commit costs, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use persistence_memory::MemoryPersistence;

use super::{Arm, Opening};

#[derive(Default)]
pub struct Memory;

impl Arm for Memory {
    fn open(&self) -> Opening<'_> {
        Box::pin(async { Arc::new(MemoryPersistence::new()) as _ })
    }

    fn raw(&self, _: usize, _: Duration) -> Option<f64> {
        None
    }

    fn outlives_process(&self) -> bool {
        false
    }
}
