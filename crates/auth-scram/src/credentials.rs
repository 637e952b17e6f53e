//! Where the credentials of users come from.

use std::collections::HashMap;
use std::hash::BuildHasher;

use broker_core::Verdict;

use crate::ScramCredential;

/// What is known of a user.
#[derive(Clone, Debug)]
pub enum ScramLookup {
    /// This credential.
    Known(ScramCredential),
    /// There is no such user. The client is not told.
    Unknown,
    /// It cannot be found out at the moment: the client is refused with 0x88 (server unavailable)
    /// and may try again.
    Unavailable,
}

/// Finds the credential of a user: in a map, in a closure, or wherever a future finds it.
///
/// ```
/// use auth_scram::{ScramCredential, ScramLookup, ScramSha256};
/// use broker_core::Verdict;
///
/// async fn ask_the_database(user: String) -> ScramLookup {
///     // …
/// #   ScramLookup::Unknown
/// }
/// let method = ScramSha256::new(|user: &str| Verdict::pending(ask_the_database(user.to_owned())))?;
/// # Ok::<(), auth_scram::ScramError>(())
/// ```
///
/// # Cancellation
/// A future that is pending is dropped when the client goes or its time is up.
pub trait ScramCredentials: Send + Sync {
    /// What is known of the user with this name, which was prepared by SASLprep. To hide who exists,
    /// it should take as long for a user who does not.
    fn find(&self, user: &str) -> Verdict<ScramLookup>;
}

impl<F: Fn(&str) -> Verdict<ScramLookup> + Send + Sync> ScramCredentials for F {
    fn find(&self, user: &str) -> Verdict<ScramLookup> {
        self(user)
    }
}

impl<S: BuildHasher + Send + Sync> ScramCredentials for HashMap<String, ScramCredential, S> {
    fn find(&self, user: &str) -> Verdict<ScramLookup> {
        Verdict::Ready(match self.get(user) {
            Some(credential) => ScramLookup::Known(credential.clone()),
            None => ScramLookup::Unknown,
        })
    }
}
