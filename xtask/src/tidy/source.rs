//! Tells code from comments, text and tests in a Rust file, as far as the rules need it. It is no
//! parser: it knows the tokens in which braces may hide, and matches the rest.

use std::borrow::Cow;

/// A Rust file, seen in two ways. Both have the lines and the byte offsets of the file.
pub struct Source<'a> {
    /// As written.
    pub text: &'a str,
    /// With comments and the inside of text literals blanked.
    pub code: String,
    /// Of each line, whether it belongs to an item under `#[cfg(test)]` or `#[test]`.
    pub in_test: Vec<bool>,
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function<'a> {
    pub name: &'a str,
    /// The line of the word `fn`, from 0.
    pub line: usize,
    /// From the line of the word `fn` to that of the closing brace, both included.
    pub lines: usize,
}

impl<'a> Source<'a> {
    pub fn read(text: &'a str) -> Self {
        let code = blank(text);
        let in_test = test_lines(&code);
        Self {
            text,
            code,
            in_test,
        }
    }

    /// Lines of code outside tests, numbered from 1.
    pub fn production_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.code.lines().enumerate();
        numbered
            .filter(|&(index, _)| !self.is_test(index))
            .map(|(index, line)| (index + 1, line))
    }

    /// How many lines are not tests, with comments and blank ones.
    pub fn production_lines(&self) -> usize {
        self.production_code().count()
    }

    /// The functions that have a body and are not tests.
    pub fn production_functions(&self) -> Vec<Function<'_>> {
        let mut functions = functions(&self.code);
        functions.retain(|function| !self.is_test(function.line));
        functions
    }

    fn is_test(&self, line: usize) -> bool {
        self.in_test.get(line).copied().unwrap_or(false)
    }
}

/// Replaces comments and the inside of text and character literals by blanks, byte for byte.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut blanked = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let length = literal_or_comment(text, at);
        match length {
            Some(length) => {
                for byte in &mut blanked[at..at + length] {
                    if *byte != b'\n' {
                        *byte = b' ';
                    }
                }
                at += length;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    // Only whole characters were blanked.
    String::from_utf8(blanked).unwrap_or_default()
}

/// The length in bytes of the comment or literal that starts at `at`.
fn literal_or_comment(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    let in_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        Some(rest.find('\n').unwrap_or(rest.len()))
    } else if rest.starts_with("/*") {
        Some(block_comment(rest))
    } else if rest.starts_with('"') {
        Some(quoted(rest, '"'))
    } else if rest.starts_with('\'') {
        character(rest)
    } else if !in_word {
        raw_string(rest)
    } else {
        None
    }
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `'a'` is a character, `'a` a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut characters = rest.chars().skip(1);
    let first = characters.next()?;
    (first == '\\' || characters.next() == Some('\'')).then(|| quoted(rest, '\''))
}

fn raw_string(rest: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        rest.strip_prefix(prefix)
            .is_some_and(|after| after.starts_with(['"', '#']))
    })?;
    let hashes = rest[prefix.len()..]
        .bytes()
        .take_while(|&byte| byte == b'#')
        .count();
    let start = prefix.len() + hashes;
    // `r#type` is a name.
    if !rest[start..].starts_with('"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let inside = &rest[start + 1..];
    Some(
        inside
            .find(&end)
            .map_or(rest.len(), |length| start + 1 + length + end.len()),
    )
}

/// Marks the lines from an attribute that makes an item a test to the end of that item.
fn test_lines(code: &str) -> Vec<bool> {
    let mut in_test = vec![false; code.lines().count()];
    for start in ["#[cfg(test)]", "#[cfg(all(test", "#[test]"]
        .into_iter()
        .flat_map(|attribute| code.match_indices(attribute).map(|(start, _)| start))
    {
        let end = item_end(code, start);
        let first = line_of(code, start);
        let last = line_of(code, end.saturating_sub(1));
        for line in in_test.iter_mut().take(last + 1).skip(first) {
            *line = true;
        }
    }
    in_test
}

/// The offset behind the item whose attributes start at `start`: behind its first `;` or its
/// first pair of braces outside of round and square brackets.
fn item_end(code: &str, start: usize) -> usize {
    let mut round_or_square = 0;
    for (index, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => round_or_square += 1,
            b')' | b']' => round_or_square -= 1,
            b';' if round_or_square == 0 => return index + 1,
            b'{' if round_or_square == 0 => return closing_brace(code, index) + 1,
            _ => {}
        }
    }
    code.len()
}

/// The offset of the brace that closes the one at `open`.
fn closing_brace(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (index, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return index;
                }
            }
            _ => {}
        }
    }
    code.len()
}

fn functions(code: &str) -> Vec<Function<'_>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices("fn ")
        .filter(|&(start, _)| !code[..start].ends_with(is_word))
        .filter_map(|(start, matched)| {
            let after = code[start + matched.len()..].trim_start();
            let name = &after[..after.find(|c| !is_word(c))?];
            let end = item_end(code, start);
            // A pointer to a function has no name, a declaration in a trait no body.
            if name.is_empty() || !code[..end].ends_with('}') {
                return None;
            }
            let line = line_of(code, start);
            Some(Function {
                name,
                line,
                lines: line_of(code, end - 1) - line + 1,
            })
        })
        .collect()
}

fn line_of(code: &str, offset: usize) -> usize {
    code.as_bytes()[..offset]
        .iter()
        .filter(|&&byte| byte == b'\n')
        .count()
}

/// The text of a line, for complaints.
pub fn shown(line: &str) -> Cow<'_, str> {
    const WIDEST: usize = 60;
    let line = line.trim();
    match line.char_indices().nth(WIDEST) {
        Some((end, _)) => Cow::Owned(format!("{}…", &line[..end])),
        None => Cow::Borrowed(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_text_are_blanked_and_code_is_kept() {
        let cases = [
            ("a // { b", "a       "),
            ("a /* { /* } */ { */ b", "a                    b".trim_end()),
            (r#"f("{ \" {", x)"#, "f(        , x)"),
            ("f('{', '\\'', 'x)", "f(   ,     , 'x)"),
            ("<'a>(x: &'a str)", "<'a>(x: &'a str)"),
            ("r#\"{ \" {\"# + r#type", "             r#type".trim_end()),
            ("'é' + é", "     + é"),
        ];
        for (text, expected) in cases {
            let blanked = blank(text);
            assert_eq!(blanked.len(), text.len(), "{text}");
            let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let expected = squeeze(expected).replace("+ ", "");
            assert_eq!(squeeze(&blanked).replace("+ ", ""), expected, "{text}");
        }
    }

    #[test]
    fn test_items_are_found_wherever_they_are() {
        let source = Source::read(
            "fn a() {}\n#[cfg(test)]\nmod tests;\nfn b() {}\n#[cfg(test)]\nmod more {\n  { }\n}\n\
             fn c() {}\n#[test]\n#[should_panic]\nfn d() {\n}\n",
        );
        let production: Vec<_> = source.production_code().map(|(line, _)| line).collect();
        assert_eq!(production, [1, 4, 9]);
        assert_eq!(source.production_lines(), 3);
    }

    #[test]
    fn functions_are_measured_from_their_name_to_their_last_brace() {
        let source = Source::read(
            "trait T { fn declared(&self); }\n\
             type F = fn (u8) -> u8;\n\
             fn array(x: [u8; 2]) -> [u8; 2] {\n  x\n}\n\
             pub const fn long(\n  x: u8,\n) -> u8\nwhere\n  u8: Copy,\n{\n  // }\n  x\n}\n\
             #[cfg(test)]\nmod tests {\n  fn in_test() {}\n}\n",
        );
        let found: Vec<_> = source
            .production_functions()
            .iter()
            .map(|function| (function.name, function.line, function.lines))
            .collect();
        assert_eq!(found, [("array", 2, 3), ("long", 5, 9)]);
    }
}
