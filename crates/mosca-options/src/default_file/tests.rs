//! The printed file, in each format: as it is, and with what is a comment taken for an option.

use super::*;
use crate::parse::FORMATS;
use crate::problem::Problem;
use crate::validate::{validate, without_effect};

#[test]
fn it_says_what_an_empty_file_says_and_is_right() {
    for (name, format) in FORMATS {
        let text = default_file(format);
        let file = format
            .parse(&text)
            .unwrap_or_else(|error| panic!("{name}: {}: {error}\n{text}", error.line));
        assert_eq!(validate(&file), [], "{name}");
        assert_eq!(without_effect(&file), [], "{name}");
        assert_eq!(populate(&file), populate(&Object::new().into()), "{name}");
    }
}

/// Each option that is a comment can be made one by taking the marks away, from it and all that is within it. Between
/// them, all of these files have every option that there is, and no other.
#[test]
fn with_the_marks_of_a_comment_taken_away_it_is_right_and_every_option_is_in_it() {
    let mut expected = Vec::new();
    options(Kind::Section(FILE), "", &mut expected);
    assert!(expected.len() > 200, "{expected:?}");
    for (_, format) in FORMATS {
        let printed = default_file(format);
        let lines = lines(format, &printed);
        let blocks = (0..lines.len()).filter(|&at| is_block(&lines, at));
        let texts: Vec<_> = blocks.map(|at| uncommented(&lines, at)).collect();
        assert!(texts.len() > 20, "{}", texts.len());
        let mut found = Vec::new();
        for text in texts.iter().chain([&printed]) {
            let file = format
                .parse(text)
                .unwrap_or_else(|error| panic!("{}: {error}\n{text}", error.line));
            // Some options cannot be together, and some not alone.
            let is_other =
                |it: &Problem| !it.what.contains("beside") && !it.what.contains("missing");
            let problems: Vec<_> = validate(&file).into_iter().filter(is_other).collect();
            assert_eq!(problems, [], "{text}");
            values(&file, Kind::Section(FILE), "", &mut found);
        }
        for name in &expected {
            assert!(found.contains(name), "{format:?} lacks {name}");
        }
    }
}

/// The whole names of all options of a kind that a file can have; those of variants have these in their names.
fn options(kind: Kind, path: &str, found: &mut Vec<String>) {
    match kind {
        Kind::Section(section) => section().iter().for_each(|it| option(it, path, found)),
        Kind::List(inner) | Kind::FlagOr(inner) | Kind::FalseOr(inner) => {
            options(*inner, path, found);
        }
        Kind::Choice(choice) => {
            for variant in choice.variants.iter().filter(|it| it.options.is_ok()) {
                let path = format!("{path}({})", variant.names[0]);
                found.push(format!("{path}.{}", choice.tag));
                let section = variant.options.unwrap();
                section().iter().for_each(|it| option(it, &path, found));
            }
        }
        _ => {}
    }
}

fn option(definition: &Definition, path: &str, found: &mut Vec<String>) {
    if !matches!(definition.kind, Kind::Nothing(_)) {
        let path = format!("{path}.{}", definition.name);
        options(definition.kind, &path, found);
        found.push(path);
    }
}

/// The same of a value.
fn values(value: &Value, kind: Kind, path: &str, found: &mut Vec<String>) {
    let (path, definitions) = match (kind, &value.data) {
        (Kind::FlagOr(inner) | Kind::FalseOr(inner), Data::Object(_)) => {
            return values(value, *inner, path, found);
        }
        (Kind::List(inner), Data::List(list)) => {
            return list.iter().for_each(|it| values(it, *inner, path, found));
        }
        (Kind::Section(section), _) => (path.to_owned(), section()),
        (Kind::Choice(choice), Data::Object(object)) => {
            let variant = variant(choice, object).unwrap();
            let path = format!("{path}({})", variant.names[0]);
            found.push(format!("{path}.{}", choice.tag));
            (path, variant.options.unwrap()())
        }
        _ => return,
    };
    for definition in definitions {
        if let Some(value) = value.as_object().and_then(|it| it.get(definition.name)) {
            let path = format!("{path}.{}", definition.name);
            values(value, definition.kind, &path, found);
            found.push(path);
        }
    }
}

/// A line that is an option or becomes one.
struct Printed<'a> {
    /// Without the mark.
    text: &'a str,
    is_comment: bool,
    /// The line in whose object it is.
    parent: Option<usize>,
    /// The line whose object it ends.
    closes: Option<usize>,
}

fn lines(format: Format, printed: &str) -> Vec<Printed<'_>> {
    let mark = if format == Format::Json { "//" } else { "#" };
    let mut lines: Vec<Printed<'_>> = Vec::new();
    // Where objects are open, outermost first: their depths, or their names in TOML.
    let mut open: Vec<(String, usize)> = Vec::new();
    for line in printed.lines() {
        let indented = line.trim_start();
        let text = indented.strip_prefix(mark).unwrap_or(indented);
        if text.is_empty() || text.starts_with(' ') {
            continue;
        }
        let is_closing = text.starts_with(['}', ']']);
        // Where it is, so that what it is in begins with the same, and whether anything can be in it.
        let (place, is_open) = match format {
            Format::Toml => {
                let name = text.trim_matches(['[', ']']);
                (format!("{name}."), text.starts_with('['))
            }
            Format::Json | Format::Yaml => (line.replace(indented, " "), true),
        };
        let is_within = |outer: &str| match format {
            Format::Toml => !is_open || place.starts_with(outer) && place != outer,
            Format::Json | Format::Yaml => place.len() > outer.len(),
        };
        let mut closes = None;
        while open.last().is_some_and(|(outer, _)| !is_within(outer)) {
            closes = open.pop().map(|(_, at)| at).filter(|_| is_closing);
        }
        let parent = open.last().map(|&(_, at)| at);
        if is_open {
            open.push((place, lines.len()));
        }
        lines.push(Printed {
            text,
            is_comment: text.len() < indented.len(),
            parent,
            closes,
        });
    }
    lines
}

/// Whether a line begins a comment that is in no other one.
fn is_block(lines: &[Printed<'_>], at: usize) -> bool {
    let line = &lines[at];
    let is_within = line.parent.is_some_and(|it| lines[it].is_comment);
    line.is_comment && line.closes.is_none() && !is_within
}

/// The options of a file, those of a comment instead of others that have the same key.
fn uncommented(lines: &[Printed<'_>], block: usize) -> String {
    let key = |line: &Printed<'_>| {
        line.text
            .split([':', '='])
            .next()
            .unwrap()
            .trim()
            .to_owned()
    };
    let chosen = &lines[block];
    let mut is_there: Vec<bool> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let is_within = ancestors(lines, line).any(|it| it == block);
        let is_instead = line.parent == chosen.parent && key(line) == key(chosen);
        is_there.push(match line.closes {
            Some(opened) => is_there[opened],
            None if line.is_comment => at == block || is_within,
            None => !is_instead && line.parent.is_none_or(|it| is_there[it]),
        });
    }
    let there = lines.iter().zip(is_there).filter(|&(_, it)| it);
    let there = there.map(|(line, _)| {
        format!(
            "{}{}\n",
            "  ".repeat(ancestors(lines, line).count()),
            line.text
        )
    });
    there.collect()
}

/// The lines in whose objects a line is, innermost first.
fn ancestors<'a>(lines: &'a [Printed<'_>], line: &Printed<'_>) -> impl Iterator<Item = usize> + 'a {
    std::iter::successors(line.parent, |&it| lines[it].parent)
}
