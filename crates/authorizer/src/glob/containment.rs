//! Whether a pattern grants all topics of a filter, and whether it grants any.
//!
//! A pattern is about topic names, a subscription about many of them at once. mosca compares the pattern
//! with the text of the filter, so that `a/*` admits `a/#`. Here it admits no filter that mosca would not,
//! and of those only the ones whose topics are all granted. Which these are for a filter with wildcards:
//!
//! - A `*` stands for every level and a `**` for any number of them, none included, for that is what `+`
//!   and `#` stand for. So `a/*` admits `a/+`, which matches `a/` and `a/.x`, too, and `a/**` admits `a/#`,
//!   which matches `a`. **To have levels that begin with a dot does not hide them from a client that may
//!   subscribe to `#`**; a rule that denies them does.
//! - A level `+` of the pattern stands for every level and a `#` at its end for any number of them: who
//!   writes so means filters.
//!
//! [`Glob::touches`] is the other side, for rules that deny. It reads the pattern as widely as it can be
//! read: wildcards take dots, `**` takes no level, and levels of the topic that are empty may be absent.
//!
//! What is said of topics that begin with `$` holds: `#` and `+` do not match them (MQTT 5.0 section
//! 4.7.2), so a rule that denies `$SYS/**` does not touch `#`.

use super::Glob;
use super::level::Level;

impl Glob {
    /// Whether a client that is granted this pattern may have the topic filter: whether all topics that
    /// it matches are granted.
    ///
    /// It never says so of a filter that has other topics. Of one that has not it may say no, if the
    /// pattern has wildcards that make up a part of a level, or if several alternatives in braces
    /// would have to be taken together. A filter that breaks the rules of MQTT is not covered.
    #[must_use]
    pub fn covers(&self, filter: &str) -> bool {
        if !self.matches(filter) {
            return false;
        }
        let Some(filter) = Filter::read(filter) else {
            return false;
        };
        if !filter.is_wildcard() {
            return true;
        }
        if self.negated {
            return !self
                .alternatives
                .iter()
                .any(|pattern| touches(pattern, &filter));
        }
        covers(&self.alternatives, &filter)
    }

    /// Whether a rule that denies this pattern is about any topic that the filter matches, be it one
    /// name or many.
    ///
    /// It never says no where there is such a topic, but for one reading: a pattern with `!` in front is
    /// about all topics but those that the rest grants to subscribers, as [`Glob::covers`] has it. So
    /// `!open/**` leaves `open/#` alone, dotted levels included. A filter that breaks the rules of MQTT
    /// is touched.
    #[must_use]
    pub fn touches(&self, filter: &str) -> bool {
        if self.is_nothing() {
            return false;
        }
        if self.negated {
            let plain = Self {
                negated: false,
                alternatives: self.alternatives.clone(),
            };
            return !plain.covers(filter);
        }
        Filter::read(filter).is_none_or(|filter| {
            self.alternatives
                .iter()
                .any(|pattern| touches(pattern, &filter))
        })
    }
}

/// A topic filter, its levels taken apart.
struct Filter<'a> {
    levels: Vec<Part<'a>>,
    /// Whether any number of levels may follow: it ended in `#`.
    open: bool,
}

#[derive(Clone, Copy)]
enum Part<'a> {
    Name(&'a str),
    /// `+`
    Every,
}

impl<'a> Filter<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut open = false;
        for level in text.split('/') {
            if open {
                return None;
            }
            match level {
                "#" => open = true,
                "+" => parts.push(Part::Every),
                name if name.contains(['+', '#']) => return None,
                name => parts.push(Part::Name(name)),
            }
        }
        if parts.is_empty() {
            // `#` does not match the topic without a level, since there is none: it is `+/#`.
            parts.push(Part::Every);
        }
        Some(Self {
            levels: parts,
            open,
        })
    }

    fn is_wildcard(&self) -> bool {
        self.open || self.levels.iter().any(|part| matches!(part, Part::Every))
    }
}

/// Whether the topics of the filter are all those of some pattern.
///
/// One topic stands for all: with names that occur in no pattern in place of the wildcards, and with each
/// number of them in place of `#` until there are more than any pattern has levels, from where on
/// more make no difference.
fn covers(patterns: &[Vec<Level>], filter: &Filter<'_>) -> bool {
    let mut reached: Vec<u64> = patterns
        .iter()
        .map(|pattern| {
            filter
                .levels
                .iter()
                .fold(without_level(pattern, 1), |places, part| {
                    after(pattern, places, *part)
                })
        })
        .collect();
    let all_over = |reached: &[u64]| {
        core::iter::zip(patterns, reached).any(|(pattern, places)| places >> pattern.len() & 1 == 1)
    };
    if !filter.open {
        return all_over(&reached);
    }
    let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
    for _ in 0..=longest {
        if !all_over(&reached) {
            return false;
        }
        for (pattern, places) in core::iter::zip(patterns, &mut reached) {
            *places = after(pattern, *places, Part::Every);
        }
    }
    all_over(&reached)
}

/// Whether this level of a pattern takes any number of levels. A `#` does at the end.
fn takes_any_number(pattern: &[Level], at: usize) -> bool {
    match pattern.get(at) {
        Some(Level::Globstar) => true,
        Some(Level::Name(name)) => &**name == "#" && at + 1 == pattern.len(),
        _ => false,
    }
}

/// The places, and those behind a level that may be none.
fn without_level(pattern: &[Level], mut places: u64) -> u64 {
    for at in 0..pattern.len() {
        if places >> at & 1 == 1 && takes_any_number(pattern, at) {
            places |= 1 << (at + 1);
        }
    }
    places
}

/// Where in the pattern one may be after another level.
fn after(pattern: &[Level], places: u64, part: Part<'_>) -> u64 {
    let mut next: u64 = 0;
    for (at, level) in pattern.iter().enumerate() {
        if places >> at & 1 == 0 {
            continue;
        }
        if takes_any_number(pattern, at) {
            next |= 1 << at;
            continue;
        }
        let taken = match (level, part) {
            (Level::Any, _) => true,
            (Level::Name(name), _) if &**name == "+" => true,
            (Level::Name(name), Part::Name(wanted)) => **name == *wanted,
            (Level::Glob(glob), Part::Name(wanted)) => glob.matches(wanted, true),
            _ => false,
        };
        next |= u64::from(taken) << (at + 1);
    }
    without_level(pattern, next)
}

/// Whether a topic is both the filter's and the pattern's, which is read as widely as can be.
fn touches(pattern: &[Level], filter: &Filter<'_>) -> bool {
    let end = pattern.len();
    let mut places = without_level(pattern, 1);
    for (at, part) in filter.levels.iter().enumerate() {
        let mut next = meeting(pattern, places, *part, at == 0);
        let may_be_empty = matches!(part, Part::Every | Part::Name(""));
        if may_be_empty && at > 0 {
            next |= places;
        }
        places = next;
    }
    if filter.open {
        // Each round gets at least one place further, or no further at all.
        for _ in 0..=end {
            places |= meeting(pattern, places, Part::Every, false);
        }
    }
    places >> end & 1 == 1
}

/// As [`after`], for any of the topics instead of all.
fn meeting(pattern: &[Level], places: u64, part: Part<'_>, is_first: bool) -> u64 {
    let mut next: u64 = 0;
    for (at, level) in pattern.iter().enumerate() {
        if places >> at & 1 == 0 {
            continue;
        }
        if takes_any_number(pattern, at) {
            next |= 1 << at;
            continue;
        }
        // The wildcard that begins a filter matches no level that begins with `$`.
        let taken = match (level, part) {
            (Level::Any, _) => true,
            (Level::Name(name), _) if &**name == "+" => true,
            (Level::Name(name), Part::Name(wanted)) => **name == *wanted,
            (Level::Name(name), Part::Every) => !(is_first && name.starts_with('$')),
            (Level::Glob(glob), Part::Name(wanted)) => glob.matches(wanted, true),
            (Level::Glob(glob), Part::Every) => !(is_first && glob.first() == Some('$')),
            (Level::Globstar, _) => true,
        };
        next |= u64::from(taken) << (at + 1);
    }
    without_level(pattern, next)
}
