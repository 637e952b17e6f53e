//! What can be chosen about the store.

use core::fmt;

/// How the store is reached, and how much it does at a time.
///
/// ```
/// use persistence_mongodb::MongoOptions;
///
/// let options = MongoOptions {
///     unavailable_timeout_ms: 10_000,
///     ..MongoOptions::new("mongodb://mosca:secret@db1,db2,db3/mosca?replicaSet=rs0&tls=true")
/// };
/// assert_eq!(options.database, None);
/// // The password is nobody's business.
/// assert!(!format!("{options:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct MongoOptions {
    /// Where the servers are: `mongodb://[user:password@]host[:port][,host…]/[database][?options]`.
    /// The options are MongoDB's own, such as `replicaSet`, `authSource`, `tls` and `tlsCAFile`; what
    /// they say of read and write concern is overruled. `mongodb+srv://` is not understood: it would
    /// take a resolver of its own.
    pub url: String,
    /// The database. Default: the one in `url`, or else `mosca`.
    pub database: Option<String>,
    /// Milliseconds for which a new connection is tried; 1 or more. Default 5,000.
    pub connect_timeout_ms: u64,
    /// Milliseconds after which an attempt to write or to read is given up and made again; 1 or more.
    /// Default 20,000.
    pub response_timeout_ms: u64,
    /// Milliseconds for which a batch or a lookup is tried again while there is no primary, counted from
    /// when it came; 0 for a single attempt. Then the answer is
    /// [`Unavailable`](broker_core::persistence::PersistenceError::Unavailable). A batch that may have
    /// been applied already waits longer, until that is known. Default 30,000.
    pub unavailable_timeout_ms: u64,
    /// Batches that go into one transaction at most; 1 or more. Default 1,024.
    pub group_batches: usize,
    /// Bytes of operations after which a transaction takes no further batch; a batch that is larger
    /// has one of its own. Default 8,388,608.
    pub group_bytes: usize,
    /// Batches that may wait to be written; those beyond fail at once. Default 1,000,000.
    pub max_queued_batches: usize,
    /// Bytes of them, payloads mostly. Default 1,073,741,824.
    pub max_queued_bytes: usize,
    /// Bytes of messages in one page of a lookup, after which it ends early; a page has one entry at
    /// least. Default 16,777,216.
    pub page_bytes: usize,
    /// Milliseconds between two looks at what other processes have left to be removed; 1,000 or more.
    /// Default 60,000.
    pub clean_interval_ms: u64,
}

impl MongoOptions {
    /// The defaults, for a store at this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            database: None,
            connect_timeout_ms: 5_000,
            response_timeout_ms: 20_000,
            unavailable_timeout_ms: 30_000,
            group_batches: 1_024,
            group_bytes: 8 << 20,
            max_queued_batches: 1_000_000,
            max_queued_bytes: 1 << 30,
            page_bytes: 16 << 20,
            clean_interval_ms: 60_000,
        }
    }
}

impl fmt::Debug for MongoOptions {
    /// The address without its user and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoOptions")
            .field("url", &without_password(&self.url))
            .field("database", &self.database)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("response_timeout_ms", &self.response_timeout_ms)
            .field("unavailable_timeout_ms", &self.unavailable_timeout_ms)
            .field("group_batches", &self.group_batches)
            .field("group_bytes", &self.group_bytes)
            .field("max_queued_batches", &self.max_queued_batches)
            .field("max_queued_bytes", &self.max_queued_bytes)
            .field("page_bytes", &self.page_bytes)
            .field("clean_interval_ms", &self.clean_interval_ms)
            .finish()
    }
}

/// An address as it may be shown to anyone.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return "an address without a scheme".to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    // A password may hold `/` or `?` where the address is wrong, so the last `@` counts.
    let hosts = rest
        .rfind('@')
        .and_then(|at| rest.get(at + 1..))
        .unwrap_or(rest);
    let hosts_end = hosts
        .find(['/', '?'])
        .unwrap_or(hosts.len())
        .min(end.max(hosts.len()));
    format!("{scheme}://{}", hosts.get(..hosts_end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn of_an_address_scheme_and_hosts_are_shown() {
        for (url, shown) in [
            ("mongodb://a:1,b:2/db?x=y", "mongodb://a:1,b:2"),
            ("mongodb://user:secret@a:1/db?x=y", "mongodb://a:1"),
            ("mongodb://user:se/cret@a:1", "mongodb://a:1"),
            ("mongodb://user:se?cret@a/", "mongodb://a"),
            ("user:secret", "an address without a scheme"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }
}
