//! Which topic names may match a filter, and where the next one that may is, in the order of bytes:
//! so that a lookup by a filter jumps over what cannot match instead of looking at it.

/// What a filter makes of a topic name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It matches.
    Match,
    /// It does not, and no name before this one does. It may be the next name itself, and it need
    /// not be a name at all.
    NotBefore(Vec<u8>),
    /// It does not, nor does any name behind it.
    NoMore,
}

/// Behind the separator of levels: what is not below a level, but behind all that is.
const BEHIND_SLASH: u8 = b'/' + 1;

/// Where the first name may be that matches.
pub(crate) fn first(filter: &str) -> Vec<u8> {
    let literal = filter.split('/').take_while(|level| !is_wildcard(level));
    literal.collect::<Vec<_>>().join("/").into_bytes()
}

fn is_wildcard(level: &str) -> bool {
    matches!(level, "+" | "#")
}

/// Compares as section 4.7 of the specification says. `topic` has to be at or behind
/// [`first`]; filter and topic name are valid.
pub(crate) fn look(filter: &str, topic: &str) -> Verdict {
    let mut wanted = filter.split('/');
    // Bytes of the topic's levels that have been compared, each with its separator.
    let mut done = 0;
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return Verdict::NotBefore(vec![b'$' + 1]);
    }
    let mut above_is_literal = false;
    loop {
        let level = topic
            .get(done..)
            .map(|rest| rest.split('/').next().unwrap_or_default());
        match (wanted.next(), level) {
            (Some("#"), _) | (None, None) => return Verdict::Match,
            (None, Some(_)) => return behind_levels(topic, done),
            // Shorter than the filter. Below it there may be what matches; between the two only if
            // the last level may be any.
            (Some(_), None) if above_is_literal => {
                return Verdict::NotBefore([topic.as_bytes(), b"/"].concat());
            }
            (Some(_), None) => return Verdict::NotBefore([topic.as_bytes(), b"\0"].concat()),
            (Some("+"), Some(level)) => {
                done += level.len() + 1;
                above_is_literal = false;
            }
            (Some(literal), Some(level)) if literal == level => {
                done += level.len() + 1;
                above_is_literal = true;
            }
            (Some(literal), Some(_)) => return toward(topic, done, literal),
        }
    }
}

/// Where the level at `start` may be `literal`, at or behind this topic.
fn toward(topic: &str, start: usize, literal: &str) -> Verdict {
    let (above, rest) = (
        topic.get(..start).unwrap_or_default().as_bytes(),
        topic.get(start..).unwrap_or_default().as_bytes(),
    );
    let exactly = literal.as_bytes();
    let below = [exactly, b"/"].concat();
    if rest < exactly {
        Verdict::NotBefore([above, exactly].concat())
    } else if rest < &*below {
        Verdict::NotBefore([above, &*below].concat())
    } else {
        behind_levels(topic, start)
    }
}

/// Behind all that is below the first levels, which end, with a separator, at `done`.
fn behind_levels(topic: &str, done: usize) -> Verdict {
    let levels = done
        .checked_sub(1)
        .and_then(|end| topic.as_bytes().get(..end));
    match levels {
        None => Verdict::NoMore,
        Some(levels) => Verdict::NotBefore([levels, &[BEHIND_SLASH]].concat()),
    }
}

#[cfg(test)]
mod tests;
