//! The order of words on the command line: mosca takes the command before its options or behind them.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// Commands of mosca's that have options of their own.
const OF_USERS: [&str; 2] = ["adduser", "rmuser"];

/// The words as clap reads them: `start`, as which mosca knows to serve, is left out, and a command about users
/// comes before its options.
pub(crate) fn command_first(mut words: Vec<OsString>, definition: &Command) -> Vec<OsString> {
    let Some((at, command)) = command(&words, definition) else {
        return words;
    };
    if command == "start" {
        words.remove(at);
    } else if OF_USERS.iter().any(|name| command == *name)
        && let Some(front) = words.get_mut(1..=at)
    {
        front.rotate_right(1);
    }
    words
}

/// The first word that is neither an option nor the value of one, and where it is.
fn command(words: &[OsString], definition: &Command) -> Option<(usize, OsString)> {
    let mut numbered = words.iter().enumerate().skip(1);
    loop {
        let (at, word) = numbered.next()?;
        match word.as_encoded_bytes() {
            [b'-', ..] if is_followed_by_value(word, definition) => drop(numbered.next()),
            [b'-', ..] => {}
            _ => return Some((at, word.clone())),
        }
    }
}

/// Whether the next word belongs to the option.
fn is_followed_by_value(option: &OsStr, definition: &Command) -> bool {
    let takes_next = |arg: &Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
    let of_users = definition.get_subcommands();
    let of_users = of_users.filter(|command| OF_USERS.contains(&command.get_name()));
    let mut all = definition
        .get_arguments()
        .chain(of_users.flat_map(Command::get_arguments));
    let Some(option) = option.to_str() else {
        return false;
    };
    match option.strip_prefix("--") {
        Some(long) => all.any(|arg| {
            let is_meant = arg.get_long_and_visible_aliases();
            is_meant.is_some_and(|names| names.contains(&long)) && takes_next(arg)
        }),
        // Of several letters the last one may have a value in the next word; one before it has the rest of the word.
        None => option.chars().next_back().is_some_and(|letter| {
            all.any(|arg| arg.get_short() == Some(letter) && takes_next(arg))
        }),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Args;

    #[test]
    fn the_command_may_stand_before_its_options_or_behind_them() {
        for (given, read) in [
            ("", ""),
            ("start", ""),
            ("-v start -p 1", "-v -p 1"),
            ("-p 1883 start --http-bundle", "-p 1883 --http-bundle"),
            ("--http-bundle start", "--http-bundle"),
            ("-vp 1 start", "-vp 1"),
            ("--port=1 start", "--port=1"),
            ("--ws-port 1 start", "--ws-port 1"),
            // Here it is a name.
            ("--broker-id start", "--broker-id start"),
            ("adduser start x", "adduser start x"),
            ("start start", "start"),
            ("--credentials f adduser u p", "adduser --credentials f u p"),
            (
                "--authorize-publish a/* --credentials=f adduser u p",
                "adduser --authorize-publish a/* --credentials=f u p",
            ),
            ("--credentials f rmuser u", "rmuser --credentials f u"),
            // What the broker has of its own is still refused there.
            ("-p 1 pub -t a -m x", "-p 1 pub -t a -m x"),
            ("-v stray start", "-v stray start"),
        ] {
            let words = |text: &str| {
                let words = ["mosca"].into_iter().chain(text.split_ascii_whitespace());
                words.map(OsString::from).collect::<Vec<_>>()
            };
            let found = command_first(words(given), &Args::command());
            assert_eq!(found, words(read), "{given}");
        }
    }
}
