//! `cargo xtask`: one command for every chore of this repository.
//!
//! Continuous integration calls these commands and adds nothing to them, so that what passes on a
//! desk passes there. Each command is one file; this one only picks it and turns the outcome into
//! an exit code: 0 all is well, 1 something failed, 2 the command line makes no sense.

mod bench;
mod bundle;
mod conformance;
mod fuzz;
mod instructions;
mod parity;
mod services;
mod step;
mod test;
mod tidy;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;

use crate::bench::Comparison;
use crate::workspace::Workspace;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let command = match Command::parse(&arguments) {
        Ok(command) => command,
        Err(complaint) => {
            eprintln!("error: {complaint}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match command.run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Help,
    Test {
        only: Vec<test::Part>,
        full: bool,
    },
    Tidy,
    Conformance {
        check: bool,
    },
    Parity {
        check: bool,
    },
    Tools,
    Bundle,
    Services,
    Instructions {
        check: bool,
    },
    Fuzz {
        seconds: u64,
        target: Option<String>,
    },
    Bench {
        name: Option<String>,
        pass_on: Vec<String>,
    },
    Compare {
        comparison: Comparison,
        arguments: Vec<String>,
    },
    Silent {
        arguments: Vec<String>,
    },
}

impl Command {
    fn parse(arguments: &[&str]) -> Result<Self, String> {
        let (command, rest) = match arguments {
            [] | ["-h" | "--help" | "help", ..] => return Ok(Self::Help),
            // What comes behind is for the comparison, which has a help of its own.
            ["bench", mode @ ("--peers" | "--stores"), rest @ ..] => {
                let comparison = match *mode {
                    "--stores" => Comparison::Stores,
                    _ => Comparison::Peers,
                };
                let arguments = rest.iter().map(|&argument| argument.to_owned()).collect();
                return Ok(Self::Compare {
                    comparison,
                    arguments,
                });
            }
            ["bench", "--silent", rest @ ..] if !rest.contains(&"--help") => {
                let arguments = rest.iter().map(|&argument| argument.to_owned()).collect();
                return Ok(Self::Silent { arguments });
            }
            [_, rest @ ..] if rest.contains(&"--help") => return Ok(Self::Help),
            [command, rest @ ..] => (*command, rest),
        };
        match command {
            "test" => parse_test(rest),
            "tidy" => no_arguments(rest).map(|()| Self::Tidy),
            "conformance" => parse_check(rest).map(|check| Self::Conformance { check }),
            "parity" => parse_check(rest).map(|check| Self::Parity { check }),
            "instructions" => parse_check(rest).map(|check| Self::Instructions { check }),
            "tools" => no_arguments(rest).map(|()| Self::Tools),
            "bundle" => no_arguments(rest).map(|()| Self::Bundle),
            "services" => no_arguments(rest).map(|()| Self::Services),
            "fuzz" => parse_fuzz(rest),
            "bench" => parse_bench(rest),
            other => Err(format!("there is no command `{other}`")),
        }
    }

    /// Runs the command; `false` means that it ran and found something wrong.
    fn run(self) -> Result<bool> {
        match self {
            Self::Help => {
                println!("{HELP}");
                Ok(true)
            }
            Self::Test { only, full } => test::run(&Workspace::find()?, &only, full),
            Self::Tidy => tidy::run(&Workspace::find()?),
            Self::Conformance { check } => conformance::run(&Workspace::find()?, check),
            Self::Parity { check } => parity::run(&Workspace::find()?, check),
            Self::Instructions { check } => {
                instructions::run(&Workspace::find()?, check).map(|()| true)
            }
            Self::Tools => tools::run(&Workspace::find()?),
            Self::Bundle => bundle::run(&Workspace::find()?),
            Self::Services => services::run(&Workspace::find()?),
            Self::Fuzz { seconds, target } => {
                fuzz::run(&Workspace::find()?, seconds, target.as_deref())
            }
            Self::Bench { name, pass_on } => {
                bench::run(&Workspace::find()?, name.as_deref(), &pass_on)
            }
            Self::Compare {
                comparison,
                arguments,
            } => bench::compare(&Workspace::find()?, comparison, &arguments),
            Self::Silent { arguments } => bench::silent::run(&Workspace::find()?, &arguments),
        }
    }
}

fn no_arguments(rest: &[&str]) -> Result<(), String> {
    match rest {
        [] => Ok(()),
        [first, ..] => Err(format!("unexpected argument `{first}`")),
    }
}

/// Whether there is `--check`, and nothing else.
fn parse_check(rest: &[&str]) -> Result<bool, String> {
    match rest {
        ["--check", rest @ ..] => no_arguments(rest).map(|()| true),
        rest => no_arguments(rest).map(|()| false),
    }
}

fn parse_test(mut rest: &[&str]) -> Result<Command, String> {
    let (mut only, mut full) = (Vec::new(), false);
    loop {
        match rest {
            [] => return Ok(Command::Test { only, full }),
            ["--full", tail @ ..] => {
                full = true;
                rest = tail;
            }
            ["--only", name, tail @ ..] => {
                only.push(test::Part::named(name)?);
                rest = tail;
            }
            ["--only"] => return Err(format!("--only wants one of: {}", test::Part::names())),
            [other, ..] => return Err(format!("unexpected argument `{other}`")),
        }
    }
}

fn parse_fuzz(mut rest: &[&str]) -> Result<Command, String> {
    let mut seconds = fuzz::DEFAULT_SECONDS;
    let mut target = None;
    loop {
        match rest {
            [] => return Ok(Command::Fuzz { seconds, target }),
            ["--smoke", tail @ ..] => {
                seconds = fuzz::SMOKE_SECONDS;
                rest = tail;
            }
            ["--seconds", number, tail @ ..] => {
                seconds = number
                    .parse()
                    .map_err(|_| format!("`{number}` is no number of seconds"))?;
                rest = tail;
            }
            ["--seconds"] => return Err("--seconds wants a number".to_owned()),
            [name, tail @ ..] if !name.starts_with('-') && target.is_none() => {
                target = Some((*name).to_owned());
                rest = tail;
            }
            [other, ..] => return Err(format!("unexpected argument `{other}`")),
        }
    }
}

fn parse_bench(rest: &[&str]) -> Result<Command, String> {
    let (name, rest) = match rest {
        [name, rest @ ..] if !name.starts_with('-') => (Some((*name).to_owned()), rest),
        rest => (None, rest),
    };
    let pass_on = match rest {
        [] => Vec::new(),
        ["--", rest @ ..] => rest.iter().map(|&argument| argument.to_owned()).collect(),
        [other, ..] => return Err(format!("unexpected argument `{other}`")),
    };
    Ok(Command::Bench { name, pass_on })
}

const HELP: &str = "\
Usage: cargo xtask <command>

  test [--full] [--only PART]...         everything that must hold before a change lands; PART is
                                         fmt, clippy, tidy, unit, conformance, clients, doc, fuzz,
                                         instructions or benches; with --full, stores on servers are
                                         asked for as much as those inside of the process
  tidy                                   the rules of the house: layers, sizes, headers, dead paths
  conformance [--check]                  run the tests of the numbered statements and write
                                         docs/conformance.md, or check that it is up to date
  parity [--check]                       write docs/mosca-parity.md, which test of ours asks what
                                         mosca's tests ask, or check that it is up to date
  instructions [--check]                 count the instructions of single steps and record them, or
                                         check that none costs more than is recorded
  tools                                  install the clients and tools that the tests need, and print
                                         where they are
  bundle                                 fetch the browser build of MQTT.js, which the command is
                                         built with from then on, and serves as /mqtt.js
  services                               install the servers that the tests need, and print where
                                         they are
  fuzz [--smoke | --seconds N] [TARGET]  fuzz all targets (or one), N seconds each
  bench [NAME] [-- ARGS]                 run the criterion benches below benches/ (or one of them)
  bench --peers [ARGS]                   compare mosca with other brokers on this machine and write
                                         docs/benchmarks.md; `bench --peers --help` has the rest
  bench --stores [ARGS]                  the same over stores: disk, Redis and MongoDB; writes
                                         docs/benchmarks-stores.md
  bench --silent [MANNER] [ARGS]         what clients notice of 10,000 others that say nothing, or half
                                         of what they should; ARGS are for `load silent`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_typed() {
        let fuzz = |seconds, target: Option<&str>| Command::Fuzz {
            seconds,
            target: target.map(str::to_owned),
        };
        let cases: [(&[&str], Command); 22] = [
            (&[], Command::Help),
            (&["test", "--help"], Command::Help),
            (
                &["test"],
                Command::Test {
                    only: Vec::new(),
                    full: false,
                },
            ),
            (
                &["test", "--full", "--only", "unit"],
                Command::Test {
                    only: vec![test::Part::Unit],
                    full: true,
                },
            ),
            (
                &["test", "--only", "fmt", "--only", "clients"],
                Command::Test {
                    only: vec![test::Part::Fmt, test::Part::Clients],
                    full: false,
                },
            ),
            (&["tidy"], Command::Tidy),
            (&["conformance"], Command::Conformance { check: false }),
            (&["parity"], Command::Parity { check: false }),
            (
                &["conformance", "--check"],
                Command::Conformance { check: true },
            ),
            (&["instructions"], Command::Instructions { check: false }),
            (
                &["instructions", "--check"],
                Command::Instructions { check: true },
            ),
            (&["bundle"], Command::Bundle),
            (&["services"], Command::Services),
            (&["fuzz"], fuzz(fuzz::DEFAULT_SECONDS, None)),
            (&["fuzz", "--smoke"], fuzz(fuzz::SMOKE_SECONDS, None)),
            (
                &["fuzz", "--seconds", "5", "decode"],
                fuzz(5, Some("decode")),
            ),
            (
                &["bench", "codec", "--", "--quick"],
                Command::Bench {
                    name: Some("codec".to_owned()),
                    pass_on: vec!["--quick".to_owned()],
                },
            ),
            (
                &["bench", "--peers", "--peer", "x=x -p {port}", "--help"],
                Command::Compare {
                    comparison: Comparison::Peers,
                    arguments: ["--peer", "x=x -p {port}", "--help"]
                        .map(str::to_owned)
                        .to_vec(),
                },
            ),
            (
                &["bench", "--stores", "--small"],
                Command::Compare {
                    comparison: Comparison::Stores,
                    arguments: vec!["--small".to_owned()],
                },
            ),
            (
                &["bench", "--silent", "publish", "--rounds", "1"],
                Command::Silent {
                    arguments: ["publish", "--rounds", "1"].map(str::to_owned).to_vec(),
                },
            ),
            (&["bench", "--help"], Command::Help),
            (&["bench", "--silent", "--help"], Command::Help),
        ];
        for (arguments, expected) in cases {
            assert_eq!(Command::parse(arguments), Ok(expected), "{arguments:?}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let cases: [&[&str]; 10] = [
            &["conformance", "--check", "--check"],
            &["tset"],
            &["tidy", "now"],
            &["test", "unit"],
            &["test", "--only"],
            &["test", "--only", "everything"],
            &["fuzz", "--seconds", "long"],
            &["fuzz", "one", "two"],
            &["bench", "codec", "--quick"],
            &["bench", "codec", "--peers"],
        ];
        for arguments in cases {
            assert!(
                Command::parse(arguments).is_err(),
                "{arguments:?} was accepted"
            );
        }
    }

    #[test]
    fn the_help_names_every_part() {
        for part in test::Part::ALL {
            assert!(
                HELP.contains(part.name()),
                "{} is missing in the help",
                part.name()
            );
        }
    }
}
