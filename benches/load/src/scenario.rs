//! The scenarios: each a subcommand with its own file.

pub mod churn;
pub mod durable;
pub mod fanin;
pub mod fanout;
pub mod idle;
pub mod offline;
pub mod pairs;
pub mod rate;
pub mod retained;
pub mod silent;
pub mod slow_reader;
pub mod stored;
pub mod subscribe_storm;
pub mod unsubscribe;
pub mod wildcards;
