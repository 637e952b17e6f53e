//! The store in a folder, and its engine by itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use persistence_fjall::{FjallOptions, FjallPersistence};
use tempfile::TempDir;

use super::{Arm, Opening};
use crate::engine::{self, Engine};

pub struct Fjall {
    store: TempDir,
    raw: TempDir,
}

impl Fjall {
    pub fn new(folder: &Path) -> Self {
        let new = || tempfile::tempdir_in(folder).expect("a folder");
        Self {
            store: new(),
            raw: new(),
        }
    }
}

impl Arm for Fjall {
    fn open(&self) -> Opening<'_> {
        Box::pin(async {
            let store = FjallPersistence::open(self.store.path(), FjallOptions::default());
            Arc::new(store.unwrap_or_else(|error| panic!("{error}"))) as _
        })
    }

    fn raw(&self, callers: usize, time: Duration) -> Option<f64> {
        let engine = Engine::open(self.raw.path());
        Some(engine::full(&engine, callers, time, &mut 0))
    }
}
