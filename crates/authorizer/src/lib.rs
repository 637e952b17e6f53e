//! Who may come in, and who may publish and subscribe to what.
//!
//! mosca's users file is read as it is and may say more: several rules for a user that allow and deny,
//! groups, names in patterns, and what clients without a name may do. New passwords are hashed with argon2id.
//!
//! - [`Users`] is what is in the file: read strictly, written whole or not at all.
//! - [`Glob`] is a pattern of topics, exactly as mosca understands it, and which topic filters one grants.
//! - [`Authorizer`] finds out who a client is, without holding up a thread and slower the more often it
//!   fails, and answers with [`Permissions`].
//! - [`AuthorizerHooks`] is an authorizer that a broker asks, [`Acl`] and [`Grant`] are what others may say
//!   of a client in the same words, and [`Grants`] holds clients to it.
//!
//! ```
//! use authorizer::{Authorizer, AuthorizerOptions, Users};
//!
//! let users = Users::from_json(r#"{
//!     "guest": {
//!         "anonymous": true,
//!         "rules": [
//!             { "deny": "all", "topic": "home/safe/**" },
//!             { "allow": "subscribe", "topic": "home/**" },
//!             { "allow": "publish", "topic": "home/%c/bell" }
//!         ]
//!     }
//! }"#)?;
//! let authorizer = Authorizer::new(&users, AuthorizerOptions::default());
//! let guest = authorizer.permissions(None, "front-door").ok_or("no guests")?;
//! assert!(guest.may_publish("home/front-door/bell"));
//! assert!(guest.may_subscribe("home/front-door/#"));
//! assert!(!guest.may_subscribe("home/+/bell"), "the safe might have one");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The file
//!
//! It is a JSON object.
//!
//! ```json
//! {
//!   "old": {
//!     "salt": "…", "hash": "…",
//!     "authorizePublish": "a/*", "authorizeSubscribe": "**"
//!   },
//!   "new": {
//!     "hash": "$argon2id$v=19$m=19456,t=2,p=1$…",
//!     "groups": ["sensors"],
//!     "rules": [
//!       { "deny": "all", "topic": "own/new/secret" },
//!       { "allow": "publish", "topic": "own/%u/%c/**" }
//!     ]
//!   },
//!   "sensors": { "group": true, "rules": [{ "allow": "subscribe", "topic": "config/**" }] },
//!   "guest": { "anonymous": true, "rules": [{ "allow": "subscribe", "topic": "public/**" }] }
//! }
//! ```
//!
//! - `hash` is mosca's (PBKDF2-HMAC-SHA1, 10,000 iterations, 64 bytes of `salt`, 128 bytes, both in
//!   base64), or one of argon2id without a `salt` beside it.
//! - An entry without `hash` that is no group is a user who comes in by a certificate alone, or by something else
//!   that is not a password of this file.
//! - `rules` are read from the first to the last, then `authorizePublish` and `authorizeSubscribe`, which
//!   allow, then the rules of the `groups` in their order. **The first rule that is about a topic decides;
//!   if none is, the answer is no.** A rule is for `publish`, `subscribe` or `all`.
//! - Of a topic filter with wildcards one rule has to allow every topic that matches, and no rule before
//!   it may deny any. [`Glob::covers`] says what that means where levels begin with a dot, and why `a/**`
//!   allows `a/#`.
//! - A rule that denies is about more than one that allows: its wildcards take levels that begin with a dot,
//!   `a/**` is about `a`, too, and empty levels in a topic do not get it past `a/b`.
//! - `topic` is a [`Glob`]; in rules `%u` is the user's name and `%c` the client identifier. A name that
//!   cannot be a level of a topic fits no rule that allows, and each that denies.
//! - Who has a password but neither rules nor groups may do everything (`**`) where `authorizePublish` or
//!   `authorizeSubscribe` is missing, as in mosca. Others may do what they are allowed to.
//! - The entry with `anonymous` is for clients without a user name. Nobody can log in under its name, nor
//!   under that of a group. What a group or nobody is, is said inside of the entry, so no name of an older
//!   file can collide with it.
//!
//! What is not said here is an error, with its line and column.

mod authorizer;
mod failures;
mod glob;
mod grant;
mod grants;
mod hooks;
mod known;
mod password;
mod rules;
mod users;

pub use authorizer::{Authorizer, AuthorizerOptions, Changes, Login, Permissions, Refusal};
pub use failures::FailureLimits;
pub use glob::{GLOB_BYTES_MAX, GLOB_LEVELS_MAX, Glob, GlobError};
pub use grant::{ACL_RULES_MAX, Acl, Grant};
pub use grants::Grants;
pub use hooks::AuthorizerHooks;
pub use password::{HashCost, PasswordError};
pub use users::{Users, UsersError};

/// The page of the crate compiles and holds.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct OwnPage;
