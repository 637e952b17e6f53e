//! The rows: a name at the start of a line, and below it, indented, what is known of it.

use std::collections::BTreeSet;

use crate::notation::bytes;
use crate::{Before, Case, Codec, Outcome, TableError, Version};

/// A row as written.
#[derive(Default)]
struct Row<'a> {
    name: &'a str,
    /// The line of its name, from 1.
    line: usize,
    versions: Vec<(Version, Vec<String>)>,
    before: Option<&'a str>,
    sent: String,
    codec: Option<&'a str>,
    outcome: Option<&'a str>,
}

pub(crate) fn read(files: &[(&'static str, &str)]) -> Result<Vec<Case>, TableError> {
    let mut cases = Vec::new();
    let mut names = BTreeSet::new();
    for &(file, text) in files {
        let place = |line: usize| format!("{file}.txt:{line}");
        for row in rows(text).map_err(|(line, what)| TableError {
            place: place(line),
            what,
        })? {
            let complaint = |what| TableError {
                place: place(row.line),
                what,
            };
            if !names.insert(row.name.to_owned()) {
                return Err(complaint(format!("`{}` is there twice", row.name)));
            }
            for (version, ids) in &row.versions {
                cases.push(row.case(file, *version, ids).map_err(complaint)?);
            }
        }
    }
    Ok(cases)
}

fn rows(text: &str) -> Result<Vec<Row<'_>>, (usize, String)> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let line = without_remark(line).trim_end();
        if line.is_empty() {
            continue;
        }
        if !line.starts_with(' ') {
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if !line.chars().all(legal) {
                return Err((number, format!("`{line}` is no name")));
            }
            rows.push(Row {
                name: line,
                line: number,
                ..Row::default()
            });
            continue;
        }
        let Some(row) = rows.last_mut() else {
            return Err((number, "a field before the first name".to_owned()));
        };
        let line = line.trim_start();
        let (field, value) = line.split_once(' ').unwrap_or((line, ""));
        row.set(field, value.trim())
            .map_err(|what| (number, what))?;
    }
    Ok(rows)
}

/// What stands before a `#` that is not in quotes.
fn without_remark(line: &str) -> &str {
    let mut is_quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => is_quoted = !is_quoted,
            '#' if !is_quoted => return line.get(..at).unwrap_or_default(),
            _ => {}
        }
    }
    line
}

impl<'a> Row<'a> {
    fn set(&mut self, field: &str, value: &'a str) -> Result<(), String> {
        if let Some(version) = Version::ALL.into_iter().find(|v| v.as_str() == field) {
            if self.versions.iter().any(|(other, _)| *other == version) {
                return Err(format!("{field} is there twice"));
            }
            let ids: Vec<String> = value.split_whitespace().map(str::to_owned).collect();
            if let Some(id) = ids.iter().find(|id| !id.starts_with("MQTT-")) {
                return Err(format!("`{id}` is no id"));
            }
            self.versions.push((version, ids));
            return Ok(());
        }
        let once = match field {
            "send" => {
                self.sent.push(' ');
                self.sent.push_str(value);
                return Ok(());
            }
            "after" => &mut self.before,
            "codec" => &mut self.codec,
            "server" => &mut self.outcome,
            _ => return Err(format!("`{field}` is no field")),
        };
        match once.replace(value) {
            None => Ok(()),
            Some(_) => Err(format!("{field} is there twice")),
        }
    }

    fn case(&self, file: &'static str, version: Version, ids: &[String]) -> Result<Case, String> {
        let before = match self.before {
            Some("nothing") => Before::Nothing,
            None | Some("connect") => Before::Connect,
            Some("subscribe") => Before::Subscribe,
            Some(other) => return Err(format!("`{other}`: nothing, connect or subscribe")),
        };
        let codec = match self.codec {
            Some("decodes") => Codec::Decodes,
            Some("incomplete") => Codec::Incomplete,
            Some(error) => Codec::Refuses(error.to_owned()),
            None => return Err("no codec".to_owned()),
        };
        let outcome = self.outcome.ok_or("no server")?;
        Ok(Case {
            name: format!("{}::v{}", self.name, version.as_str().replace('.', "_")),
            file,
            version,
            ids: ids.to_vec(),
            before,
            sent: bytes(&self.sent, version)?,
            codec,
            outcome: read_outcome(outcome, version)?,
        })
    }
}

fn read_outcome(text: &str, version: Version) -> Result<Outcome, String> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let code = || match bytes(rest, version)?.as_slice() {
        [code] => Ok(*code),
        _ => Err(format!("`{text}`: one code expected")),
    };
    match word {
        "answers" => Ok(Outcome::Answers(bytes(rest, version)?)),
        "accepts" if rest.is_empty() => Ok(Outcome::Accepts),
        "closes" if rest.is_empty() => Ok(Outcome::Closes),
        "returns" => Ok(Outcome::Returns(code()?)),
        "refuses" if version == Version::V5 => Ok(Outcome::Returns(code()?)),
        "disconnects" if version == Version::V5 => Ok(Outcome::Disconnects(code()?)),
        "refuses" | "disconnects" => code().map(|_| Outcome::Closes),
        _ => Err(format!("`{text}` is nothing that a server does")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "\
# Of both versions.
two
  3.1
  5.0 MQTT-1.1.1-1 MQTT-1.1.1-2   # two of them
  after nothing
  send 10 (protocol
  send   00)
  codec UnexpectedEnd
  server refuses 81

one
  3.1.1
  send C0 00
  codec decodes
  server answers D0 00
";

    #[test]
    fn a_row_is_a_case_for_each_of_its_versions() {
        let cases = read(&[("file", ROWS)]).unwrap();
        let names: Vec<&str> = cases.iter().map(|case| &*case.name).collect();
        assert_eq!(names, ["two::v3_1", "two::v5_0", "one::v3_1_1"]);
        assert_eq!(cases[0].sent, b"\x10\x0A\0\x06MQIsdp\x03\0");
        assert_eq!(cases[0].outcome, Outcome::Closes);
        assert_eq!(cases[0].ids, [""; 0]);
        assert_eq!(cases[1].sent, b"\x10\x08\0\x04MQTT\x05\0");
        assert_eq!(cases[1].outcome, Outcome::Returns(0x81));
        assert_eq!(cases[1].ids, ["MQTT-1.1.1-1", "MQTT-1.1.1-2"]);
        assert_eq!(cases[1].before, Before::Nothing);
        assert_eq!(cases[1].codec, Codec::Refuses("UnexpectedEnd".to_owned()));
        assert_eq!(cases[2].before, Before::Connect);
        assert_eq!(cases[2].codec, Codec::Decodes);
        assert_eq!(cases[2].outcome, Outcome::Answers(vec![0xD0, 0]));
    }

    #[test]
    fn a_row_that_says_too_little_or_too_much_is_refused() {
        for (wrong, place) in [
            (ROWS.replace("  codec decodes\n", ""), "file.txt:11"),
            (ROWS.replace("server answers D0 00", ""), "file.txt:11"),
            (ROWS.replace("\none\n", "\ntwo\n"), "file.txt:11"),
            (ROWS.replace("refuses 81", "refuses"), "file.txt:2"),
            (ROWS.replace("refuses", "ignores"), "file.txt:2"),
            (ROWS.replace("nothing", "something"), "file.txt:2"),
            (ROWS.replace("00)", "00"), "file.txt:2"),
            (ROWS.replace("after", "before"), "file.txt:5"),
            (ROWS.replace("MQTT-1.1.1-2", "[MQTT-1.1.1-2]"), "file.txt:4"),
            (ROWS.replace("  3.1.1", "  3.1.1\n  3.1.1"), "file.txt:13"),
            (ROWS.replace("one", "One"), "file.txt:11"),
        ] {
            let error = read(&[("file", &wrong)]).unwrap_err();
            assert_eq!(error.place, place, "{error}\n{wrong}");
        }
    }

    #[test]
    fn a_remark_does_not_begin_in_quotes() {
        for (line, rest) in [
            ("a # b", "a "),
            ("# b", ""),
            ("s\"#\" 00 # b", "s\"#\" 00 "),
            ("s\"a/#\"", "s\"a/#\""),
        ] {
            assert_eq!(without_remark(line), rest);
        }
    }

    #[test]
    fn the_table_itself_can_be_read() {
        let cases = crate::cases().unwrap();
        assert!(!cases.is_empty());
    }
}
