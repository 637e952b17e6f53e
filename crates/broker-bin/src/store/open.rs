//! From a choice to a store that is open.

use std::path::Path;
use std::sync::Arc;

use mosca::persistence::Persistence;
use persistence_memory::MemoryPersistence;

use super::{Durability, StoreChoice};
use crate::server_url::ServerUrl;

/// Why a store is not open.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The store is there, but not in this program.
    #[cfg(not(all(feature = "fjall", feature = "redis", feature = "mongodb")))]
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
    /// It is not there, or not ours, or does not let us in.
    #[cfg(any(feature = "fjall", feature = "redis", feature = "mongodb"))]
    #[error("cannot open the store {store}: {reason}")]
    Refused {
        /// The choice, without passwords.
        store: String,
        /// What the store says.
        reason: String,
    },
}

impl StoreChoice {
    /// Opens the store, or creates it.
    pub(crate) async fn open(&self) -> Result<Arc<dyn Persistence>, OpenError> {
        match self {
            Self::Memory => Ok(Arc::new(MemoryPersistence::new())),
            Self::Fjall { path, durability } => self.open_fjall(path, *durability),
            Self::Redis(url) => self.open_redis(url).await,
            Self::Mongo(url) => self.open_mongo(url).await,
        }
    }

    #[cfg(feature = "fjall")]
    fn open_fjall(
        &self,
        path: &Path,
        durability: Durability,
    ) -> Result<Arc<dyn Persistence>, OpenError> {
        use persistence_fjall::{Durability as Promise, FjallOptions, FjallPersistence};
        let options = FjallOptions {
            durability: match durability {
                Durability::Always => Promise::Always,
                Durability::Interval(interval) => Promise::Interval(interval),
                Durability::Os => Promise::Os,
            },
            ..FjallOptions::default()
        };
        match FjallPersistence::open(path, options) {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(self.refused(error)),
        }
    }

    #[cfg(not(feature = "fjall"))]
    fn open_fjall(&self, _: &Path, _: Durability) -> Result<Arc<dyn Persistence>, OpenError> {
        Err(self.not_built_in("fjall"))
    }

    #[cfg(feature = "redis")]
    async fn open_redis(&self, url: &ServerUrl) -> Result<Arc<dyn Persistence>, OpenError> {
        use persistence_redis::{RedisOptions, RedisPersistence};
        let options = RedisOptions::from_url(url.reveal()).map_err(|error| self.refused(error))?;
        match RedisPersistence::connect(options).await {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(self.refused(error)),
        }
    }

    #[cfg(not(feature = "redis"))]
    async fn open_redis(&self, _: &ServerUrl) -> Result<Arc<dyn Persistence>, OpenError> {
        Err(self.not_built_in("redis"))
    }

    #[cfg(feature = "mongodb")]
    async fn open_mongo(&self, url: &ServerUrl) -> Result<Arc<dyn Persistence>, OpenError> {
        use persistence_mongodb::{MongoOptions, MongoPersistence};
        match MongoPersistence::connect(MongoOptions::new(url.reveal())).await {
            Ok(store) => Ok(Arc::new(store)),
            Err(error) => Err(self.refused(error)),
        }
    }

    #[cfg(not(feature = "mongodb"))]
    async fn open_mongo(&self, _: &ServerUrl) -> Result<Arc<dyn Persistence>, OpenError> {
        Err(self.not_built_in("mongodb"))
    }

    #[cfg(any(feature = "fjall", feature = "redis", feature = "mongodb"))]
    fn refused(&self, reason: impl std::fmt::Display) -> OpenError {
        OpenError::Refused {
            store: self.to_string(),
            reason: reason.to_string(),
        }
    }

    #[cfg(not(all(feature = "fjall", feature = "redis", feature = "mongodb")))]
    fn not_built_in(&self, feature: &'static str) -> OpenError {
        OpenError::NotBuiltIn {
            store: self.to_string(),
            feature,
        }
    }
}
