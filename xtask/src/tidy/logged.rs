//! What comes from outside is escaped where it is logged, so that nobody can make up lines of the log:
//! in a macro of `tracing` a value shown by `%` or `?`, or put into the message, is wrapped in
//! `Escaped` or `Quoted`, or comes from `log::`. A bare value may be a number, a flag, or text, which who
//! writes the line puts into quotes.

use super::source::shown;
use super::tree::Tree;

const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// Fields that hold nothing from outside, or whose own `Display` escapes it.
const HARMLESS: [&str; 6] = ["peer", "interface", "folder", "path", "address", "after"];

const WRAPPERS: [&str; 3] = ["Escaped(", "Quoted(", "log::"];

pub fn check(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, source) in tree.rust() {
        if file.is_test() || file.path.starts_with("xtask/") {
            continue;
        }
        for (at, arguments) in macros(&source.code) {
            let line = source.code[..at].matches('\n').count();
            if source.in_test.get(line).copied().unwrap_or(false) {
                continue;
            }
            let written = &source.text[at..at + arguments.len()];
            if let Some(raw) = raw_value(arguments, written) {
                complaints.push(format!(
                    "{}:{}: `{}` is logged as it is; wrap it in Escaped or Quoted",
                    file.path,
                    line + 1,
                    shown(raw)
                ));
            }
        }
    }
    complaints
}

/// The arguments of each macro of `tracing` that logs, and where they begin.
fn macros(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for level in LEVELS {
        let name = format!("tracing::{level}!(");
        for (at, _) in code.match_indices(&name) {
            let start = at + name.len();
            let mut depth = 1;
            let end = code[start..].find(|c| {
                depth += i32::from(c == '(') - i32::from(c == ')');
                depth == 0
            });
            found.push((
                start,
                &code[start..end.map_or(code.len(), |end| start + end)],
            ));
        }
    }
    found
}

/// The first argument that shows something unwrapped. `written` are the same bytes, with the texts that
/// are blank in `arguments`.
fn raw_value<'a>(arguments: &str, written: &'a str) -> Option<&'a str> {
    let mut wrapped = 0;
    let mut shown_in_message = 0;
    for (start, argument) in split(arguments) {
        let as_written = written[start..start + argument.len()].trim();
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name.trim(), value.trim()),
            None => (
                argument.trim().trim_start_matches(['%', '?']),
                argument.trim(),
            ),
        };
        let is_wrapped = |value: &str| WRAPPERS.iter().any(|wrapper| value.starts_with(wrapper));
        if let Some(value) = value.strip_prefix(['%', '?']) {
            if !is_wrapped(value) && !HARMLESS.contains(&name) {
                return Some(as_written);
            }
        } else if as_written.starts_with('"') {
            let message = as_written.replace("{{", "");
            shown_in_message += message.matches("{}").count();
            if message.matches('{').count() > message.matches("{}").count() {
                return Some(as_written);
            }
        } else if is_wrapped(value) && !argument.contains('=') {
            wrapped += 1;
        }
    }
    (shown_in_message > wrapped).then_some(written.trim())
}

/// The arguments, and where each begins.
fn split(arguments: &str) -> Vec<(usize, &str)> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in arguments.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push((start, &arguments[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push((start, &arguments[start..]));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(line: &str) -> usize {
        let text = format!("//! A file.\nfn f() {{\n    {line}\n}}\n");
        check(&Tree::of(&[("crates/a/src/a.rs", &text)])).len()
    }

    #[test]
    fn what_is_shown_as_it_is_is_reported() {
        assert_eq!(count(r#"tracing::info!(%error, "it fails");"#), 1);
        assert_eq!(
            count(r#"tracing::warn!(limit, topic = ?topic, "it fails");"#),
            1
        );
        assert_eq!(count(r#"tracing::debug!("it fails: {error}");"#), 1);
        assert_eq!(count(r#"tracing::debug!("it fails: {}", error);"#), 1);
        assert_eq!(count(r#"tracing::debug!("{} {}", Escaped(a), b);"#), 1);
        assert_eq!(count(r#"tracing::debug!(a = %Escaped(a), "{}", b);"#), 1);
    }

    #[test]
    fn what_is_wrapped_or_harmless_is_not() {
        assert_eq!(
            count(r#"tracing::info!(error = %Escaped(&error), "it fails");"#),
            0
        );
        assert_eq!(
            count(r#"tracing::warn!(limit, %peer, user = log::user(c), "is here");"#),
            0
        );
        assert_eq!(
            count(r#"tracing::debug!("it fails: {}", Escaped(error));"#),
            0
        );
        assert_eq!(
            count(r#"tracing::debug!(path = %path.display(), "a {{}} b");"#),
            0
        );
        assert_eq!(count(r#"let tracing = "tracing::info!(%error)";"#), 0);
    }
}
