//! Braces: `a{b,c}d` stands for `abd` and `acd`, `{1..3}` for `1`, `2` and `3`.
//!
//! What has neither a comma nor two dots between its braces stands for itself, and so do braces that are
//! behind a backslash or a `$`, or have no partner. Where there are braces, a backslash in front of one
//! of `\ { } , .` is gone afterwards.

use super::GlobError;

/// How many patterns one may stand for.
pub(super) const ALTERNATIVES_MAX: usize = 256;

// While braces are looked for, characters behind a backslash are out of sight. The substitutes are no
// characters (Unicode, section 23.7), and a pattern with one in it is refused before.
const HIDDEN: [(char, char); 5] = [
    ('\\', '\u{FDD8}'),
    ('{', '\u{FDD9}'),
    ('}', '\u{FDDA}'),
    (',', '\u{FDDB}'),
    ('.', '\u{FDDC}'),
];

/// All that `pattern` stands for.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, GlobError> {
    let open = pattern.find('{');
    if !open.is_some_and(|open| pattern.get(open..).is_some_and(|rest| rest.contains('}'))) {
        return Ok(vec![pattern.to_owned()]);
    }
    let mut hidden = hide(pattern);
    if let Some(rest) = hidden.strip_prefix("{}") {
        hidden = format!("\u{FDD9}\u{FDDA}{rest}");
    }
    let mut patterns = Vec::new();
    for text in parts(&hidden, true)? {
        patterns.push(shown(&text));
    }
    Ok(patterns)
}

fn hide(text: &str) -> String {
    let mut hidden = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let substitute = chars
            .peek()
            .filter(|_| char == '\\')
            .and_then(|next| HIDDEN.iter().find(|(plain, _)| plain == next));
        match substitute {
            Some((_, substitute)) => {
                chars.next();
                hidden.push(*substitute);
            }
            None => hidden.push(char),
        }
    }
    hidden
}

fn shown(text: &str) -> String {
    text.chars()
        .map(|char| {
            let plain = HIDDEN.iter().find(|(_, substitute)| *substitute == char);
            plain.map_or(char, |(plain, _)| *plain)
        })
        .collect()
}

/// The braces that belong together and come first: what is before, inside and behind them.
///
/// With one that is never closed in front, the first that has a partner counts.
fn first_pair(text: &str) -> Option<(&str, &str, &str)> {
    let mut opened = Vec::new();
    let mut leftmost: Option<(usize, usize)> = None;
    for (at, char) in text.char_indices() {
        match char {
            '{' => opened.push(at),
            '}' => {
                let Some(open) = opened.pop() else { continue };
                if leftmost.is_none_or(|(found, _)| open < found) {
                    leftmost = Some((open, at));
                }
                if opened.is_empty() {
                    break;
                }
            }
            _ => {}
        }
    }
    let (open, close) = leftmost?;
    Some((
        text.get(..open)?,
        text.get(open + 1..close)?,
        text.get(close + 1..)?,
    ))
}

fn parts(text: &str, outermost: bool) -> Result<Vec<String>, GlobError> {
    let alone = || Ok(vec![text.to_owned()]);
    let Some((before, body, behind)) = first_pair(text) else {
        return alone();
    };
    if before.ends_with('$') {
        return alone();
    }
    let sequence = sequence(body)?;
    if sequence.is_none() && !body.contains(',') {
        // The comma may belong to braces around these, which are then none themselves.
        let comma = behind.find(',');
        let closed =
            comma.is_some_and(|at| behind.get(at..).is_some_and(|rest| rest.contains('}')));
        if closed {
            return parts(&format!("{before}{{{body}\u{FDDA}{behind}"), false);
        }
        return alone();
    }
    let is_sequence = sequence.is_some();
    let middles = match sequence {
        Some(members) => members,
        None => match comma_parts(body)?.as_slice() {
            [only] => {
                let inner: Vec<String> = parts(only, false)?
                    .iter()
                    .map(|one| format!("{{{one}}}"))
                    .collect();
                if let [single] = inner.as_slice() {
                    let rests = tail(behind)?;
                    return Ok(rests
                        .iter()
                        .map(|rest| format!("{before}{single}{rest}"))
                        .collect());
                }
                each(&inner)?
            }
            several => each(several)?,
        },
    };
    let tails = tail(behind)?;
    if middles.len().saturating_mul(tails.len()) > ALTERNATIVES_MAX {
        return Err(GlobError::TooManyAlternatives);
    }
    let mut found = Vec::new();
    for middle in &middles {
        for tail in &tails {
            let whole = format!("{before}{middle}{tail}");
            if !outermost || is_sequence || !whole.is_empty() {
                found.push(whole);
            }
        }
    }
    Ok(found)
}

fn tail(behind: &str) -> Result<Vec<String>, GlobError> {
    if behind.is_empty() {
        return Ok(vec![String::new()]);
    }
    parts(behind, false)
}

fn each(texts: &[String]) -> Result<Vec<String>, GlobError> {
    let mut all = Vec::new();
    for text in texts {
        all.extend(parts(text, false)?);
        if all.len() > ALTERNATIVES_MAX {
            return Err(GlobError::TooManyAlternatives);
        }
    }
    Ok(all)
}

/// Cut at the commas that are not inside of other braces.
fn comma_parts(text: &str) -> Result<Vec<String>, GlobError> {
    let Some((before, body, behind)) = first_pair(text) else {
        return Ok(text.split(',').map(str::to_owned).collect());
    };
    let mut found: Vec<String> = before.split(',').map(str::to_owned).collect();
    if let Some(last) = found.last_mut() {
        last.push('{');
        last.push_str(body);
        last.push('}');
        if !behind.is_empty() {
            let mut rest = comma_parts(behind)?.into_iter();
            last.push_str(&rest.next().unwrap_or_default());
            found.extend(rest);
        }
    }
    if found.len() > ALTERNATIVES_MAX {
        return Err(GlobError::TooManyAlternatives);
    }
    Ok(found)
}

/// The members of `1..9`, `01..10`, `a..e`, or one of them with a step behind another two dots.
fn sequence(body: &str) -> Result<Option<Vec<String>>, GlobError> {
    let mut ends = body.split("..");
    let (Some(first), Some(last), step, None) =
        (ends.next(), ends.next(), ends.next(), ends.next())
    else {
        return Ok(None);
    };
    let step = match step.map(number) {
        None => 1,
        Some(Some(step)) => step.unsigned_abs(),
        Some(None) => return Ok(None),
    };
    let letters = letter(first).zip(letter(last));
    let Some((from, to)) = number(first).zip(number(last)).or(letters) else {
        return Ok(None);
    };
    let count = from.abs_diff(to).checked_div(step).unwrap_or(u64::MAX);
    if count >= ALTERNATIVES_MAX as u64 {
        return Err(GlobError::TooManyAlternatives);
    }
    let width = [first, last].iter().map(|end| end.len()).max().unwrap_or(0);
    let padded = letters.is_none() && [first, last].iter().any(|end| is_padded(end));
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let members = (0..=i64::try_from(count).unwrap_or(0)).map(|nth| {
        let offset = step.saturating_mul(nth);
        let value = if to < from {
            from - offset
        } else {
            from + offset
        };
        match u32::try_from(value).ok().and_then(char::from_u32) {
            // Between the capital and the small letters is a backslash, which would take the next one away.
            Some(char) if letters.is_some() => Some(char)
                .filter(|char| *char != '\\')
                .map_or(String::new(), String::from),
            _ if padded => format!("{value:0width$}"),
            _ => value.to_string(),
        }
    });
    Ok(Some(members.collect()))
}

fn number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain =
        !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

fn letter(text: &str) -> Option<i64> {
    match text.as_bytes() {
        [byte] if byte.is_ascii_alphabetic() => Some(i64::from(*byte)),
        _ => None,
    }
}

fn is_padded(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.len() > 1 && digits.starts_with('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_stand_for_what_is_between_their_commas() {
        for (pattern, stands_for) in [
            ("a", &["a"][..]),
            ("{a,b}", &["a", "b"]),
            ("x{a,b}y", &["xay", "xby"]),
            ("{a,b}{c,d}", &["ac", "ad", "bc", "bd"]),
            ("{a,{b,c}}", &["a", "b", "c"]),
            ("{{a,b}}", &["{a}", "{b}"]),
            ("{a}", &["{a}"]),
            ("{}", &["{}"]),
            ("{}{a,b}", &["{}a", "{}b"]),
            ("${a,b}", &["${a,b}"]),
            ("{a,b", &["{a,b"]),
            ("{a,}", &["a"]),
            ("x{a,}", &["xa", "x"]),
            (r"{a\,b,c}", &["a,b", "c"]),
            (r"{a,b\}", &[r"{a,b}"]),
            ("{1..3}", &["1", "2", "3"]),
            ("{3..1}", &["3", "2", "1"]),
            ("{01..3}", &["01", "02", "03"]),
            ("{-1..1}", &["-1", "0", "1"]),
            ("{1..5..2}", &["1", "3", "5"]),
            ("{a..c}", &["a", "b", "c"]),
            ("{a..1}", &["{a..1}"]),
        ] {
            assert_eq!(expand(pattern).unwrap(), stands_for, "{pattern}");
        }
    }

    #[test]
    fn what_would_grow_without_bound_is_refused() {
        let squares = "{a,b}".repeat(9);
        let deep = format!("{}{}", "{a,".repeat(300), "}".repeat(300));
        for pattern in [
            squares.as_str(),
            &deep,
            "{1..257}",
            "{1..999999999}",
            "{1..2..0}",
        ] {
            assert_eq!(
                expand(pattern),
                Err(GlobError::TooManyAlternatives),
                "{pattern}"
            );
        }
        assert_eq!(expand(&"{a,b}".repeat(8)).unwrap().len(), 256);
    }
}
