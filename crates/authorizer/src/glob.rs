//! One pattern of topics, in the notation of mosca's users file.
//!
//! mosca hands patterns to minimatch 3.0, so this is what they mean here, and no library for globs means
//! the same: levels that begin with a dot, runs of slashes, groups such as `+(a|b)`, and `!` and `#` in
//! front all count. The test in `tests/minimatch.rs` compares it with what minimatch itself says.
//!
//! | in a pattern | is |
//! | --- | --- |
//! | `*` | any characters within a level; alone a whole level, which is not empty |
//! | `**` | alone in a level: any number of levels; at the end at least one |
//! | `?`, `[xy]`, `[a-z]`, `[!x]` | one character |
//! | `{a,b}`, `{1..3}` | several patterns at once |
//! | `@(a\|b)`, `?(a)`, `*(a)`, `+(a)`, `!(a)` | one of, at most one, any number, at least one, none of these |
//! | `!` in front | everything but the rest; twice is not at all |
//! | `#` in front | nothing |
//! | `\` | the next character is only itself |
//! | `+`, `#` as a level | itself: the pattern `a/+` matches the text `a/+` |
//!
//! No wildcard takes the dot that begins a level. Several slashes are one. A topic may end in a slash
//! that the pattern does not have.
//!
//! Where it differs from minimatch: `?` is one character also outside of Unicode's first plane; a level
//! that begins with the end of a line is like any other; `[]` and more up to the next `]` is a class,
//! whatever is in it; the empty pattern stands for nothing; and what would take it unreasonably long, or
//! is one of its accidents (`!(…)` in other groups), is refused with a [`GlobError`].

mod automaton;
mod braces;
mod containment;
mod level;

use level::Level;

/// A pattern, as it is in a users file, may have this many bytes.
pub const GLOB_BYTES_MAX: usize = 1_024;

/// A pattern may have this many levels.
pub const GLOB_LEVELS_MAX: usize = 60;

/// Why a pattern is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GlobError {
    /// It has more than [`GLOB_BYTES_MAX`] bytes or [`GLOB_LEVELS_MAX`] levels.
    #[error("it has more than 1,024 bytes or 60 levels")]
    TooLong,
    /// Its braces stand for more than 256 patterns.
    #[error("its braces stand for more than 256 patterns")]
    TooManyAlternatives,
    /// A level has `!(…)` twice, inside of another group, or between two others.
    #[error("a level has `!(…)` twice, inside of another group, or between groups")]
    Negation,
    /// It has one of the characters U+FDD0 to U+FDDF, which are none.
    #[error("it has one of the characters U+FDD0 to U+FDDF")]
    Noncharacter,
}

/// A compiled pattern.
///
/// ```
/// use authorizer::Glob;
///
/// let glob = Glob::new("home/{kitchen,hall}/*")?;
/// assert!(glob.matches("home/hall/light"));
/// assert!(!glob.matches("home/hall/light/left"));
///
/// // May a client with this grant have the subscription? All of it has to be granted.
/// assert!(glob.covers("home/hall/+"));
/// assert!(!glob.covers("home/hall/#"));
///
/// // And does it meet this at all?
/// assert!(glob.touches("home/#"));
/// # Ok::<(), authorizer::GlobError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Glob {
    negated: bool,
    /// One of these has to match, each being the levels of a pattern.
    alternatives: Vec<Vec<Level>>,
}

/// What stands for the placeholders of a pattern.
#[derive(Clone, Copy, Debug, Default)]
struct Values<'a> {
    user: Option<&'a str>,
    client: Option<&'a str>,
}

/// In place of `%u` and `%c` while a pattern is read: no characters, so that no pattern has them, and
/// nothing in a name is ever read as part of the pattern.
const USER: char = '\u{FDD0}';
const CLIENT: char = '\u{FDD1}';

impl<'a> Values<'a> {
    fn of(&self, char: char) -> Option<&'a str> {
        match char {
            USER => self.user,
            CLIENT => self.client,
            _ => None,
        }
    }
}

impl Glob {
    /// Reads `pattern`. `%u` and `%c` are nothing special here.
    ///
    /// # Errors
    /// The pattern is too long, too wide, or of a kind that is not supported.
    pub fn new(pattern: &str) -> Result<Self, GlobError> {
        check(pattern)?;
        Self::read(pattern, &Values::default())
    }

    /// Reads `pattern`, in which `%u` is the name of a user and `%c` a client identifier. `None` if
    /// one that is needed is missing, empty, or has one of `/`, `+` and `#`: as a level of a topic it
    /// would be something else than a name.
    ///
    /// ```
    /// use authorizer::Glob;
    ///
    /// let own = |client| Glob::with_names("to/%c/**", Some("eve"), client);
    /// assert!(own("a*")?.is_some_and(|glob| glob.matches("to/a*/x") && !glob.matches("to/ab/x")));
    /// assert!(own("a/b")?.is_none());
    /// # Ok::<(), authorizer::GlobError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Glob::new`].
    pub fn with_names(
        pattern: &str,
        user: Option<&str>,
        client_id: &str,
    ) -> Result<Option<Self>, GlobError> {
        check(pattern)?;
        let is_name = |text: &str| !text.is_empty() && !text.contains(['/', '+', '#']);
        let values = Values {
            user: user.filter(|user| is_name(user)),
            client: Some(client_id).filter(|client| is_name(client)),
        };
        let needs_user = pattern.contains("%u") && values.user.is_none();
        let needs_client = pattern.contains("%c") && values.client.is_none();
        if needs_user || needs_client {
            return Ok(None);
        }
        let marked = pattern
            .replace("%u", &USER.to_string())
            .replace("%c", &CLIENT.to_string());
        Self::read(&marked, &values).map(Some)
    }

    fn read(pattern: &str, values: &Values<'_>) -> Result<Self, GlobError> {
        let pattern = pattern.trim();
        if pattern.is_empty() || pattern.starts_with('#') {
            return Ok(Self {
                negated: false,
                alternatives: Vec::new(),
            });
        }
        let rest = pattern.trim_start_matches('!');
        let negated = (pattern.len() - rest.len()) % 2 == 1;
        let alternatives = braces::expand(rest)?
            .iter()
            .map(|text| {
                let levels: Vec<Level> = levels(text)
                    .map(|level| Level::read(level, values))
                    .collect::<Result<_, _>>()?;
                if levels.len() > GLOB_LEVELS_MAX {
                    return Err(GlobError::TooLong);
                }
                Ok(levels)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            negated,
            alternatives,
        })
    }

    /// Whether the topic name is one of those that the pattern stands for, exactly as minimatch has it.
    ///
    /// It takes time proportional to the length of the topic, whatever the pattern is.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        self.alternatives
            .iter()
            .any(|pattern| level_match(pattern, topic))
            != self.negated
            && !self.is_nothing()
    }

    /// A comment, or nothing at all.
    fn is_nothing(&self) -> bool {
        self.alternatives.is_empty()
    }
}

/// A pattern that can be read at all.
fn check(pattern: &str) -> Result<(), GlobError> {
    if pattern.len() > GLOB_BYTES_MAX {
        return Err(GlobError::TooLong);
    }
    if pattern.contains(|char| ('\u{FDD0}'..='\u{FDDF}').contains(&char)) {
        return Err(GlobError::Noncharacter);
    }
    Ok(())
}

/// The levels of a text, a run of slashes being one.
fn levels(text: &str) -> impl Iterator<Item = &str> {
    let mut levels = text.split('/').enumerate().peekable();
    core::iter::from_fn(move || {
        loop {
            let (at, level) = levels.next()?;
            if !level.is_empty() || at == 0 || levels.peek().is_none() {
                return Some(level);
            }
        }
    })
}

/// Whether the levels of the topic are those of the pattern.
///
/// A bit stands for each place in the pattern that may be next; one place more is behind its end, and
/// one more in a `**` at the end that has taken a level.
fn level_match(pattern: &[Level], topic: &str) -> bool {
    let end = pattern.len();
    let taken = end + 1;
    let mut places: u64 = 1;
    let mut levels = levels(topic).peekable();
    let mut is_first = true;
    while let Some(name) = levels.next() {
        let is_last = levels.peek().is_none();
        if name.is_empty() && is_last && !is_first && places >> end & 1 == 1 {
            // A slash at the end that the pattern does not have.
            return true;
        }
        is_first = false;
        let dotted = name.starts_with('.');
        let mut next: u64 = 0;
        if places >> taken & 1 == 1 && !dotted {
            next |= 1 << taken;
        }
        for (at, level) in pattern.iter().enumerate() {
            if places >> at & 1 == 0 {
                continue;
            }
            match level {
                Level::Globstar if at + 1 == end => {
                    if !dotted {
                        next |= 1 << taken;
                    }
                }
                Level::Globstar => {
                    // It takes no level: the place behind it comes later in this very loop.
                    places |= 1 << (at + 1);
                    if !dotted {
                        next |= 1 << at;
                    }
                }
                Level::Name(wanted) => next |= u64::from(**wanted == *name) << (at + 1),
                Level::Any => next |= u64::from(!dotted && !name.is_empty()) << (at + 1),
                Level::Glob(glob) => next |= u64::from(glob.matches(name, false)) << (at + 1),
            }
        }
        if next == 0 {
            return false;
        }
        places = next;
    }
    places & (1 << end | 1 << taken) != 0
}

#[cfg(test)]
mod tests;
