//! The command line, as typed.

mod order;

use std::path::{Path, PathBuf};

use clap::{ArgAction, Parser, Subcommand, value_parser};

use crate::client::{BenchArgs, PublishArgs, StatusArgs, SubscribeArgs};
use crate::log::LogFormat;
pub(crate) use order::command_first;

/// An MQTT 3.1, 3.1.1 and 5.0 broker.
#[derive(Debug, Parser)]
#[command(name = "mosca", version, disable_version_flag = true)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// What else to do than to serve.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Port to listen on; 0 takes any that is free [default: 1883]
    #[arg(short, long, value_name = "PORT")]
    pub(crate) port: Option<u16>,

    /// Port for MQTT over WebSocket as well; 0 takes any that is free [default: none]
    #[arg(long, visible_alias = "ws-port", value_name = "PORT")]
    pub(crate) http_port: Option<u16>,

    /// Folder whose files are served on that port
    #[arg(long, value_name = "DIR")]
    pub(crate) http_static: Option<PathBuf>,

    /// MQTT.js for browsers is served there as /mqtt.js: the one that comes with this command, or FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub(crate) http_bundle: Option<Option<PathBuf>>,

    /// File with the certificate for TLS, PEM, with those of intermediate authorities behind it
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,

    /// File with the certificate's private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,

    /// Port for MQTT over TLS, instead of the one without [default with --cert: 8883]
    #[arg(long, value_name = "PORT")]
    pub(crate) secure_port: Option<u16>,

    /// With TLS, listen without as well
    #[arg(long)]
    pub(crate) non_secure: bool,

    /// Port for MQTT over WebSocket over TLS as well [default: none]
    #[arg(long, visible_alias = "wss-port", value_name = "PORT")]
    pub(crate) https_port: Option<u16>,

    /// Folder whose files are served on that port
    #[arg(long, value_name = "DIR")]
    pub(crate) https_static: Option<PathBuf>,

    /// MQTT.js for browsers is served there as /mqtt.js: the one that comes with this command, or FILE
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    pub(crate) https_bundle: Option<Option<PathBuf>>,

    /// Listen for WebSockets and HTTP alone
    #[arg(long)]
    pub(crate) only_http: bool,

    /// Host name or IP address to listen on [default: all addresses]
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,

    /// File with the users who may come in, and what they may do [default: everybody, everything]
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,

    /// Publish no statistics below $SYS
    #[arg(long)]
    pub(crate) disable_stats: bool,

    /// Name of the broker in its own topics, $SYS/<ID>/… [default: made up at each start]
    #[arg(long, value_name = "ID")]
    pub(crate) broker_id: Option<String>,

    /// Host of another broker, the parent: what is published at one of them comes to the clients of both
    /// [default with --parent-port: localhost]
    #[arg(long, value_name = "HOST")]
    pub(crate) parent_host: Option<String>,

    /// Port of the parent [default with --parent-host: 1883]
    #[arg(long, value_name = "PORT")]
    pub(crate) parent_port: Option<u16>,

    /// What stands before this broker's topics at its parent, or in another engine between brokers
    #[arg(long, value_name = "PREFIX")]
    pub(crate) parent_prefix: Option<String>,

    /// Threads that serve clients [default: one per processor but one]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1_024))]
    pub(crate) threads: Option<u16>,

    /// Folder in which sessions and messages are kept on this machine's disk [default: in memory alone]
    #[arg(short, long, value_name = "PATH", conflicts_with = "persistence")]
    pub(crate) db: Option<PathBuf>,

    /// Where sessions and messages are kept: memory, fjall:PATH, redis://[[USER]:PASSWORD@]HOST[:PORT][/DB],
    /// redis+sentinel://HOST,HOST/SERVICE, redis+cluster://HOST,HOST (rediss… for TLS), or
    /// mongodb://HOST,HOST[/DATABASE][?OPTIONS]
    #[arg(long, value_name = "STORE")]
    pub(crate) persistence: Option<String>,

    /// With --db: what is acknowledged is on the disk (always), gets there every MS milliseconds
    /// (interval:MS), or when the system likes (os) [default: always]
    #[arg(long, value_name = "WHEN")]
    pub(crate) durability: Option<String>,

    /// Connections at one time [default: 200000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) max_connections: Option<u64>,

    /// Connections of one address at one time [default: 10000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) max_connections_per_address: Option<u64>,

    /// Bytes of a packet [default: 2000000]
    #[arg(long, value_name = "BYTES", help_heading = "Limits")]
    pub(crate) max_packet_size: Option<u64>,

    /// Sessions, connected or not [default: 1000000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) max_sessions: Option<u64>,

    /// QoS 1 and 2 messages under way to one client [default: 1024]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) max_inflight: Option<u64>,

    /// Messages that wait for one client [default: 100000]
    #[arg(long, value_name = "N", help_heading = "Limits")]
    pub(crate) max_queued_messages: Option<u64>,

    /// File with options, JSON, TOML or YAML; environment variables, such as MOSCA__PORT, and the command line count
    /// before it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Log clients that come and go
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Log all that may help to find an error
    #[arg(long)]
    pub(crate) very_verbose: bool,

    /// What the lines of the log look like [default: pretty]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,

    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

impl Args {
    /// The certificate and its key.
    pub(crate) fn tls_files(&self) -> Option<(&Path, &Path)> {
        self.cert.as_deref().zip(self.key.as_deref())
    }
}

/// What the command does instead of serving.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what is wrong with a config file, without starting anything; exits with 0 if it can be used, with 1
    /// otherwise
    Check {
        /// The file
        config: PathBuf,
    },
    /// Print what a config file may say
    #[command(arg_required_else_help = true)]
    Config {
        /// A file with every option and its default
        #[arg(long, conflicts_with = "schema")]
        default: bool,
        /// How it is written: json, toml or yaml [default: json]
        #[arg(long, value_name = "FORMAT", requires = "default", value_parser = ["json", "toml", "yaml"])]
        format: Option<String>,
        /// The JSON Schema of such files
        #[arg(long)]
        schema: bool,
    },
    /// Look after a store on disk (--db) that no broker has open
    Db {
        /// What to do with it.
        #[command(subcommand)]
        command: DbCommand,
    },
    /// Print the completions of the command line for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man {
        /// That of a command, such as pub, in place of the one of mosca itself
        command: Option<String>,
    },
    /// Publish a message to a server
    Pub(PublishArgs),
    /// Subscribe at a server, and print what comes
    Sub(SubscribeArgs),
    /// Measure a server: connect, publish and subscribe with many clients; exits with 6 if messages at QoS 1 or 2
    /// were lost, or connections were
    Bench(Box<BenchArgs>),
    /// Ask a running server what it says of itself below $SYS
    Status(StatusArgs),
    /// Add a user to a users file, or give one that is there a new password
    Adduser {
        /// Name of the user
        user: String,
        /// The password; others on this machine can see it here. Without it, it is the first line of the
        /// standard input
        password: Option<String>,
        /// The users file; it is made if there is none
        #[arg(long, value_name = "FILE")]
        credentials: PathBuf,
        /// Topics that the user may publish to [default: **]
        #[arg(long, value_name = "PATTERN")]
        authorize_publish: Option<String>,
        /// Topics that the user may subscribe to [default: **]
        #[arg(long, value_name = "PATTERN")]
        authorize_subscribe: Option<String>,
    },
    /// Remove a user from a users file; it is no error if there is none of that name
    Rmuser {
        /// Name of the user
        user: String,
        /// The users file
        #[arg(long, value_name = "FILE")]
        credentials: PathBuf,
    },
    /// Take over what the mosca of Node.js has left in Redis, MongoDB or a LevelDB; exits with 3 if
    /// something cannot be read
    Import {
        /// Where it is: redis://… or mongodb://…, as in --persistence, or leveldb:PATH
        source: String,
        /// Store that it goes into, as in --persistence [default: the one at the same address, of Redis and MongoDB]
        #[arg(long, value_name = "STORE")]
        into: Option<String>,

        /// Seconds from now on after which an imported session expires if its client has not come
        /// [default: never]
        #[arg(long, value_name = "SECS", value_parser = value_parser!(u32).range(1..))]
        session_expiry: Option<u32>,
    },
}

/// What can be done with a store on disk.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Read everything, and say what is there and what is wrong; exits with 3 if anything is
    Verify {
        /// Folder of the store
        path: PathBuf,
    },
    /// Print everything, an object of JSON on each line
    Dump {
        /// Folder of the store
        path: PathBuf,
    },
    /// Keep what is whole of one whose journals were torn, say what is dropped, and leave a copy of
    /// that; exits with 3 if it is still damaged
    Repair {
        /// Folder of the store
        path: PathBuf,
    },
    /// Make it smaller: drop what was replaced and removed from its files
    Compact {
        /// Folder of the store
        path: PathBuf,
    },
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
    fn the_help_names_the_limits_that_hold() {
        let options = mosca::BrokerOptions::default();
        let limits = [
            ("max-packet-size", options.max_packet_size_bytes as usize),
            ("max-sessions", options.max_sessions),
            ("max-inflight", options.max_inflight.into()),
            ("max-queued-messages", options.max_queued_messages),
        ];
        let definition = Args::command();
        for (flag, limit) in limits {
            let mut all = definition.get_arguments();
            let help = all
                .find(|arg| arg.get_long() == Some(flag))
                .and_then(|arg| arg.get_help());
            let help = help.unwrap().to_string();
            assert!(help.contains(&format!("[default: {limit}]")), "{help}");
        }
    }

    #[test]
    fn without_arguments_the_defaults_hold() {
        let args = Args::parse_from(["mosca"]);
        assert_eq!((args.port, args.host, args.verbose), (None, None, false));
        assert_eq!((args.http_port, args.threads), (None, None));
        assert_eq!((args.db, args.persistence), (None, None));
    }
}
