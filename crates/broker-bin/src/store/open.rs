//! From a choice to a store that is open.

use std::sync::Arc;

use mosca::persistence::Persistence;
use persistence_memory::MemoryPersistence;

use super::StoreChoice;

/// Why a store is not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The store is there, but not in this program.
    #[error(
        "{store}: this mosca was built without this store; build it with the cargo feature \
         `{feature}`"
    )]
    NotBuiltIn {
        /// The choice, without passwords.
        store: String,
        /// What it has to be built with.
        feature: &'static str,
    },
}

impl StoreChoice {
    /// Opens the store, or creates it.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Persistence>, OpenError> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryPersistence::new())),
            Self::Fjall { .. } => Err(self.not_built_in("fjall")),
            Self::Redis(_) => Err(self.not_built_in("redis")),
            Self::Mongo(_) => Err(self.not_built_in("mongodb")),
        }
    }

    fn not_built_in(&self, feature: &'static str) -> OpenError {
        OpenError::NotBuiltIn {
            store: self.to_string(),
            feature,
        }
    }
}
