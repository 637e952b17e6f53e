//! The command line, as typed.

use clap::{ArgAction, Parser, value_parser};

/// An MQTT 3.1, 3.1.1 and 5.0 broker.
#[derive(Debug, Parser)]
#[command(name = "mosca", version, disable_version_flag = true)]
pub(crate) struct Args {
    /// Port to listen on; 0 takes any that is free
    #[arg(short, long, value_name = "PORT", default_value_t = 1883)]
    pub(crate) port: u16,

    /// Port for MQTT over WebSocket as well; 0 takes any that is free [default: none]
    #[arg(long, visible_alias = "ws-port", value_name = "PORT")]
    pub(crate) http_port: Option<u16>,

    /// Host name or IP address to listen on [default: all addresses]
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,

    /// Threads that serve clients [default: one per processor but one]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1_024))]
    pub(crate) threads: Option<u16>,

    /// Log clients that come and go
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Log all that may help to find an error
    #[arg(long)]
    pub(crate) very_verbose: bool,

    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn without_arguments_the_defaults_hold() {
        let args = Args::parse_from(["mosca"]);
        assert_eq!((args.port, args.host, args.verbose), (1883, None, false));
        assert_eq!((args.http_port, args.threads), (None, None));
    }
}
