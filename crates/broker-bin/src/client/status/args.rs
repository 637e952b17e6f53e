//! The arguments of `mosca status`, as typed.

use clap::{Args, value_parser};

use crate::client::args::ConnectionArgs;
use crate::client::output::OutputFormat;

/// The arguments of `mosca status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Say it again every SECS seconds, until it is interrupted
    #[arg(short, long, value_name = "SECS", value_parser = value_parser!(u64).range(1..=86_400))]
    pub(super) watch: Option<u64>,

    /// Seconds in which the server has to say something of itself; exits with 5 if it does not
    #[arg(short = 'W', long, value_name = "SECS", default_value = "15", value_parser = value_parser!(u64).range(1..=86_400))]
    pub(super) within: u64,

    /// For whom it is said
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(super) output: OutputFormat,

    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
}
