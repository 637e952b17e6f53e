//! `mosca pub`, `mosca sub`, `mosca status` and `mosca bench`: a client in the same binary.

mod args;
mod bench;
mod interrupts;
mod output;
mod publish;
mod show;
mod status;
mod subscribe;

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use args::{ConnectionArgs, ProtocolVersion, quality};
pub(crate) use args::{PublishArgs, SubscribeArgs};
pub(crate) use bench::BenchArgs;
use mqtt_client::{
    Address, Client, ClientError, Options, OwnedWill, PropertiesBuf, Property, Subscription,
    Version,
};
pub(crate) use status::StatusArgs;

/// The server was reached, and says no.
const REFUSED: u8 = 4;
/// The time that was set is over.
const TIME_IS_OVER: u8 = 5;

/// Runs `mosca pub`.
pub(crate) fn publish(args: &PublishArgs) -> anyhow::Result<ExitCode> {
    run(1, publish::run(args))
}

/// Runs `mosca sub`.
pub(crate) fn subscribe(args: &SubscribeArgs) -> anyhow::Result<ExitCode> {
    run(1, subscribe::run(args))
}

/// Runs `mosca status`.
pub(crate) fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    run(1, status::run(args))
}

/// Runs `mosca bench`.
pub(crate) fn bench(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    // Before there is a second thread. Without it there are fewer connections, which is then said of each.
    let _raised = crate::descriptors::prepare();
    run(args.threads(), bench::run(args.clone()))
}

/// What a server refuses has an exit code of its own.
fn run(
    threads: usize,
    work: impl Future<Output = anyhow::Result<ExitCode>>,
) -> anyhow::Result<ExitCode> {
    let runtime = crate::runtime(threads).context("cannot start the runtime")?;
    match runtime.block_on(work) {
        Err(error) if error.downcast_ref().is_some_and(is_refusal) => {
            crate::complain(&error);
            Ok(ExitCode::from(REFUSED))
        }
        other => other,
    }
}

fn is_refusal(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Refused(..) | ClientError::Disconnected(..)
    )
}

/// Connects as the arguments say.
async fn connect(args: &ConnectionArgs) -> anyhow::Result<Client> {
    let options = options(args)?;
    let connected = Client::connect(&options).await;
    let client = connected.with_context(|| format!("cannot connect to {}", options.address))?;
    args.debug(format_args!("connected to {}", options.address));
    Ok(client)
}

/// Subscribes, to all of it or with an error.
async fn subscribe_to(
    client: &mut Client,
    connection: &ConnectionArgs,
    subscriptions: &[Subscription],
) -> anyhow::Result<()> {
    let granted = client.subscribe(subscriptions).await?;
    for (Subscription { filter, .. }, code) in subscriptions.iter().zip(granted) {
        if code.is_error() {
            let error = ClientError::Refused(code, None);
            return Err(error).with_context(|| format!("cannot subscribe to {filter:?}"));
        }
        connection.debug(format_args!("subscribed to {filter:?}: {}", code.as_str()));
    }
    Ok(())
}

impl ConnectionArgs {
    /// A line on stderr, for who asks for it.
    fn debug(&self, what: fmt::Arguments<'_>) {
        if self.debug {
            // Nothing is left to be done if stderr is gone.
            let _written = writeln!(io::stderr(), "mosca: {what}");
        }
    }
}

fn address(args: &ConnectionArgs) -> Address {
    let mut address = args.url.clone();
    if let Some(host) = &args.host {
        address.host.clone_from(host);
    }
    if let Some(port) = args.port {
        address.port = port;
    }
    address
}

fn options(args: &ConnectionArgs) -> anyhow::Result<Options> {
    let mut options = Options::new(address(args));
    options.version = args.protocol_version.into();
    options.client_id = match (&args.id, options.version) {
        (Some(id), _) => id.clone(),
        // A server that speaks 3.1 gives none.
        (None, Version::V31) => own_client_id(),
        (None, Version::V311 | Version::V5) => String::new(),
    };
    options.clean_start = !args.keep_session;
    if args.keep_session {
        options.session_expiry_secs = args.session_expiry.unwrap_or(u32::MAX);
    }
    options.keep_alive_secs = args.keep_alive;
    options.timeout = Duration::from_secs(args.timeout);
    options.user_name.clone_from(&args.user_name);
    options.password = password(args)?;
    options.tls.ca_file.clone_from(&args.ca_file);
    options.tls.identity = args.cert.clone().zip(args.key.clone());
    options.tls.insecure = args.insecure;
    options.will = args.will_topic.as_ref().map(|topic| OwnedWill {
        qos: quality(args.will_qos),
        retain: args.will_retain,
        topic: topic.clone(),
        payload: args.will_payload.clone().unwrap_or_default().into(),
        properties: PropertiesBuf::new(),
    });
    for (name, value) in args.connect_property.iter() {
        options
            .properties
            .push(Property::UserProperty(name, value))?;
    }
    Ok(options)
}

/// One that no other process on this machine has at this time, of 23 characters at most.
fn own_client_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.map_or(0, |now| now.subsec_nanos());
    format!("mosca-{:x}-{nanos:x}", std::process::id())
}

/// From the command line, or the first line of the file that it names, where others cannot see it.
fn password(args: &ConnectionArgs) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(path) = &args.password_file else {
        return Ok(args.password.clone().map(String::into_bytes));
    };
    // A password longer than MQTT has room for is refused when it is sent.
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(1 << 20).read_to_string(&mut text))
        .with_context(|| path.display().to_string())?;
    let first = text.lines().next().unwrap_or_default();
    Ok(Some(first.as_bytes().to_vec()))
}

impl From<ProtocolVersion> for Version {
    fn from(version: ProtocolVersion) -> Self {
        match version {
            ProtocolVersion::V31 => Self::V31,
            ProtocolVersion::V311 => Self::V311,
            ProtocolVersion::V5 => Self::V5,
        }
    }
}
