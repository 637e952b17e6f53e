//! What the users file allows a client, looked up once for as long as the file is the same: patterns with the
//! client's names in them are made for each client anew.
//!
//! It is kept at the client, in what hooks have left there. A program may leave the same at several clients, so what
//! was found for one is nothing to the others.

use core::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::authorizer::Permissions;

/// What was found the last time.
#[derive(Default)]
pub(crate) struct Known(Mutex<Option<Found>>);

struct Found {
    /// Of the users among whom it was found.
    generation: u64,
    user: Option<Arc<str>>,
    client_id: Box<str>,
    /// `None` if they say nothing of the client.
    permissions: Option<Permissions>,
}

/// Whom it is about, and among which users it is to be found.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) generation: u64,
    pub(crate) user: Option<&'a Arc<str>>,
    pub(crate) client_id: &'a str,
}

impl Whose<'_> {
    fn is_of(&self, found: &Found) -> bool {
        self.generation == found.generation
            && self.user == found.user.as_ref()
            && *self.client_id == *found.client_id
    }

    fn found(&self, permissions: Option<Permissions>) -> Found {
        Found {
            generation: self.generation,
            user: self.user.cloned(),
            client_id: self.client_id.into(),
            permissions,
        }
    }
}

impl Known {
    /// Nothing was looked for so far.
    pub(crate) const fn nothing() -> Self {
        Self(Mutex::new(None))
    }

    /// This was found.
    pub(crate) fn found(permissions: Permissions, whose: Whose<'_>) -> Self {
        Self(Mutex::new(Some(whose.found(Some(permissions)))))
    }

    /// Asks about what was found, or is found by `find` if that was among older users or for somebody else.
    /// `None` if that is nothing.
    pub(crate) fn ask<T>(
        &self,
        whose: Whose<'_>,
        find: impl FnOnce() -> Option<Permissions>,
        ask: impl FnOnce(&Permissions) -> T,
    ) -> Option<T> {
        let mut known = self.0.lock();
        if !known.as_ref().is_some_and(|found| whose.is_of(found)) {
            *known = Some(whose.found(find()));
        }
        known.as_ref()?.permissions.as_ref().map(ask)
    }
}

/// A copy finds it out itself.
impl Clone for Known {
    fn clone(&self) -> Self {
        Self::nothing()
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Acl;

    fn whose<'a>(generation: u64, user: Option<&'a Arc<str>>, client_id: &'a str) -> Whose<'a> {
        Whose {
            generation,
            user,
            client_id,
        }
    }

    #[test]
    fn each_generation_is_looked_up_once_for_each_client() {
        let known = Known::nothing();
        let mut searches = 0;
        let eve: Arc<str> = "eve".into();
        for (whose, allowed) in [
            (whose(1, Some(&eve), "c"), true),
            (whose(1, Some(&eve), "c"), true),
            (whose(2, Some(&eve), "c"), false),
            (whose(2, Some(&eve), "c"), false),
            (whose(2, Some(&eve), "d"), true),
            (whose(2, None, "d"), false),
            (whose(2, None, "d"), false),
        ] {
            let find = || {
                searches += 1;
                allowed.then(|| Acl::everything().permissions(None, "c"))
            };
            let may = known.ask(whose, find, |it| it.may_publish("a"));
            assert_eq!(may, allowed.then_some(true), "{searches}");
        }
        assert_eq!(searches, 4);
        let everything = Acl::everything().permissions(None, "c");
        let found = Known::found(everything, whose(7, None, "c"));
        let may = found.ask(whose(7, None, "c"), || None, |it| it.may_publish("a"));
        assert_eq!(may, Some(true));
        let copied = found.clone().ask(whose(7, None, "c"), || None, |_| ());
        assert_eq!(copied, None);
    }
}
