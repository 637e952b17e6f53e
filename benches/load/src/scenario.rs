//! The scenarios: each a subcommand with its own file.

pub mod fanin;
pub mod fanout;
pub mod pairs;
pub mod rate;
