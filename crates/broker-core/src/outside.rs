//! Text from outside in a line of a log: client identifiers, user names, topics, what other programs
//! complain of.
//!
//! Whoever sends such text chooses it. A line feed in it would make a line that nobody has logged, an
//! escape sequence would colour or clear the screen of who reads the log, an override of the writing
//! direction would show it in another order than it has, and 65,535 bytes of it for each of many
//! connections would fill the disk.

use core::fmt::{self, Display, Write};

/// A name that somebody outside has chosen, for a line of a log: in quotes, escaped as in Rust's own
/// literals, and cut after [`BYTES_MAX`](Self::BYTES_MAX) bytes, which `…` behind the quotes shows.
///
/// ```
/// use broker_core::Quoted;
///
/// let client = "sensor\n\u{1b}[31m\" user=\"root";
/// assert_eq!(Quoted(client).to_string(), r#""sensor\n\u{1b}[31m\" user=\"root""#);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(pub &'a str);

impl Quoted<'_> {
    /// Bytes of it that are shown, before they are escaped.
    pub const BYTES_MAX: usize = 256;
}

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = beginning(self.0, Self::BYTES_MAX);
        write!(f, "{shown:?}")?;
        if shown.len() < self.0.len() {
            f.write_char('…')?;
        }
        Ok(())
    }
}

/// Anything that may show text from outside, such as an error that repeats what another program said,
/// for a line of a log: what is no printable character is escaped, and it is cut after 1,024 bytes,
/// which `…` at its end shows.
///
/// ```
/// use broker_core::Escaped;
///
/// let error = std::io::Error::other("unknown command 'X\r\nERROR all is lost'");
/// assert_eq!(Escaped(&error).to_string(), r"unknown command 'X\r\nERROR all is lost'");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<T>(pub T);

/// Bytes of what is [`Escaped`] that are shown, before they are escaped.
const ESCAPED_BYTES_MAX: usize = 1_024;

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut escaping = Escaping {
            out: f,
            room: ESCAPED_BYTES_MAX,
            is_cut: false,
        };
        write!(escaping, "{}", self.0)
    }
}

/// Escapes what is written to it.
struct Escaping<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    /// Bytes that may still come.
    room: usize,
    is_cut: bool,
}

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_cut {
            return Ok(());
        }
        let shown = beginning(text, self.room);
        self.room -= shown.len();
        for character in shown.chars() {
            match character {
                ' '..='~' => self.out.write_char(character)?,
                other => Display::fmt(&other.escape_debug(), self.out)?,
            }
        }
        if shown.len() < text.len() {
            self.is_cut = true;
            self.out.write_char('…')?;
        }
        Ok(())
    }
}

/// As much of the start of `text` as has room in `bytes`, in whole characters.
fn beginning(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A character of each kind that does something to a terminal, a file of lines, or a reader.
    const HOSTILE: [char; 12] = [
        '\0', '\n', '\r', '\u{7}', '\u{8}', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{2028}',
        '\u{202e}', '\u{2066}',
    ];

    #[test]
    fn what_does_something_else_than_being_read_is_escaped() {
        for character in HOSTILE {
            let text = format!("a{character}b");
            for shown in [Quoted(&text).to_string(), Escaped(&text).to_string()] {
                assert!(!shown.contains(character), "{character:?} in {shown:?}");
                assert!(shown.contains('\\') && shown.contains('b'), "{shown}");
            }
        }
    }

    #[test]
    fn what_can_be_read_stays_as_it_is() {
        let text = "Fühler 17/温度 'x'";
        assert_eq!(Quoted(text).to_string(), format!("\"{text}\""));
        assert_eq!(Escaped(text).to_string(), text);
        assert_eq!(Quoted("").to_string(), "\"\"");
    }

    #[test]
    fn nobody_gets_out_of_the_quotes() {
        let shown = Quoted(r#"x" peer="y\"#).to_string();
        assert_eq!(shown, r#""x\" peer=\"y\\""#);
    }

    struct Parts(usize);

    impl Display for Parts {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            (0..self.0).try_for_each(|_| f.write_str(&"ア".repeat(20)))
        }
    }

    #[test]
    fn long_text_is_cut_between_two_characters() {
        assert_eq!(Quoted(&"a".repeat(256)).to_string().len(), 258);
        let shown = Quoted(&"a".repeat(257)).to_string();
        assert_eq!(shown, format!("\"{}\"…", "a".repeat(256)));
        // Three bytes each: the 86th would go past the limit.
        let shown = Quoted(&"ア".repeat(300)).to_string();
        assert_eq!(shown.matches('ア').count(), 85);
        // In however many parts it comes.
        let shown = Escaped(Parts(100)).to_string();
        assert!(shown.ends_with("ア…"), "{shown}");
        assert_eq!(shown.matches('ア').count(), 341);
        assert_eq!(Escaped(Parts(10)).to_string(), "ア".repeat(200));
    }
}
