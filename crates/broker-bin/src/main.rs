//! The `mosca` command: flags, logging, signals, and the wiring of server, store and engine. Nothing here
//! knows a rule of MQTT.
//!
//! SIGHUP reads the certificates, the users and the keys of tokens again.
//!
//! The exit codes of all commands are a table in the README.

mod access;
mod args;
mod bundle;
mod client;
mod config;
#[cfg(feature = "fjall")]
mod db;
mod descriptors;
mod engine;
mod flags;
mod group;
mod import;
mod interfaces;
mod listening;
mod log;
mod memory;
#[cfg_attr(
    not(all(feature = "fjall", feature = "redis")),
    expect(
        dead_code,
        reason = "each store shows in its own way how far its work has come"
    )
)]
mod progress;
mod server_url;
mod settings;
mod store;
mod users;

use std::io::{self, Write as _};
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use access::Access;
use anyhow::Context as _;
use args::{Args, Command, command_first};
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use interfaces::{Certificates, Interfaces};
use log::{Log, LogFormat};
use mosca::{Escaped, Server, ServerBuilder};
use mosca_options::{FORMATS, Format};
use settings::{Settings, SettingsError};
use tokio::runtime::{self, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tracing::level_filters::LevelFilter;

/// Many small messages that come and go on several threads are what it is good at. It is built not to
/// ask the system for huge pages: memory that it holds in reserve would count as used, 2 MiB at a time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time that clients have to take their leave.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// How often it is looked for clients whose time is over: nobody stays longer than that too long.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let words = std::env::args_os().collect();
    let args = Args::parse_from(command_first(words, &Args::command()));
    if let Some(command) = &args.command {
        return match other(command) {
            Ok(code) => code,
            Err(error) => complain(&error),
        };
    }
    match Settings::from_args(&args) {
        // Exits with 2.
        Err(SettingsError::Usage(error)) => Args::command()
            .error(ErrorKind::ValueValidation, error)
            .exit(),
        Err(error) => complain(&error.into()),
        Ok(settings) => match run(&settings) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => complain(&error),
        },
    }
}

/// What the command does instead of serving.
fn other(command: &Command) -> anyhow::Result<ExitCode> {
    match command {
        #[cfg(feature = "fjall")]
        Command::Db { command } => db::run(command),
        #[cfg(not(feature = "fjall"))]
        Command::Db { .. } => {
            anyhow::bail!("this mosca was built without the store on disk (cargo feature `fjall`)")
        }
        Command::Check { config } => check(config),
        Command::Config { format, schema, .. } => print_config(format.as_deref(), *schema),
        Command::Adduser {
            user,
            password,
            credentials,
            authorize_publish,
            authorize_subscribe,
        } => {
            let patterns = (authorize_publish.as_deref(), authorize_subscribe.as_deref());
            users::add(credentials, user, password.as_deref(), patterns)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "mosca", &mut script);
            print(&script)
        }
        Command::Man { command } => manual(command.as_deref()),
        Command::Pub(args) => client::publish(args),
        Command::Sub(args) => client::subscribe(args),
        Command::Status(args) => client::status(args),
        Command::Bench(args) => client::bench(args),
        Command::Rmuser { user, credentials } => {
            users::remove(credentials, user)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Import {
            source,
            into,
            session_expiry,
        } => {
            let _log = Log::start(LevelFilter::WARN, LogFormat::default());
            let runtime = runtime(1).context("cannot start the runtime")?;
            let expiry_secs = session_expiry.unwrap_or(u32::MAX);
            runtime.block_on(import::run(source, into.as_deref(), expiry_secs))
        }
    }
}

/// The manual page of the whole, or that of one command.
fn manual(command: Option<&str>) -> anyhow::Result<ExitCode> {
    let mut of = Args::command();
    // So that each command knows how it is called.
    of.build();
    if let Some(name) = command {
        let found = of.find_subcommand(name);
        of = found
            .with_context(|| format!("mosca has no command {}", Escaped(&name)))?
            .clone();
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(of).render(&mut page)?;
    print(&page)
}

fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text).and_then(|()| stdout.flush());
    written.context("cannot write to stdout")?;
    Ok(ExitCode::SUCCESS)
}

/// Reads all files that options name: certificates and their keys, scripts, users, the keys of tokens, and those of an
/// engine between brokers.
fn open(settings: &Settings) -> anyhow::Result<(Interfaces, Access)> {
    let interfaces = Interfaces::new(&settings.interfaces).map_err(anyhow::Error::from);
    let opened = interfaces.and_then(|it| {
        settings.engine.check_files()?;
        Ok((it, Access::open(&settings.access)?))
    });
    opened.map_err(|error| {
        let path = interfaces::path_of(&error).or_else(|| access::path_of(&error));
        let path = path.or_else(|| engine::path_of(&error));
        let problem = path.and_then(|it| settings.problem_of_file(it, &shown(&error)));
        problem.map_or(error, Into::into)
    })
}

/// `mosca check`: whether a file can be used, without the flags of a start.
fn check(config: &Path) -> anyhow::Result<ExitCode> {
    let mut args = Args::parse_from(["mosca"]);
    args.config = Some(config.to_owned());
    let settings = Settings::from_args(&args)?;
    open(&settings)?;
    let mut out = io::stdout().lock();
    for warning in &settings.without_effect {
        writeln!(out, "{warning}")?;
    }
    writeln!(out, "{}: nothing is wrong", config.display())?;
    Ok(ExitCode::SUCCESS)
}

/// `mosca config`.
fn print_config(format: Option<&str>, schema: bool) -> anyhow::Result<ExitCode> {
    let text = if schema {
        mosca_options::schema()
    } else {
        let format = FORMATS.iter().find(|(name, _)| Some(*name) == format);
        mosca_options::default_file(format.map_or(Format::Json, |&(_, format)| format))
    };
    print(text.as_bytes())
}

fn complain(error: &anyhow::Error) -> ExitCode {
    // Nothing is left to be done if stderr is gone.
    let _written = writeln!(io::stderr(), "mosca: {}", shown(error));
    ExitCode::FAILURE
}

/// A failure with its reasons, each once: some say in their own words what the one behind them says.
fn shown(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for reason in error.chain().skip(1).map(ToString::to_string) {
        if !text.ends_with(&reason) {
            text = format!("{text}: {reason}");
        }
    }
    text
}

fn run(settings: &Settings) -> anyhow::Result<()> {
    // Before there is a second thread.
    let descriptors = descriptors::prepare();
    // Held to the end, for the last lines.
    let _log = Log::start(settings.level, settings.log_format);
    if let Err(error) = descriptors {
        tracing::warn!(error = %Escaped(&error), "cannot raise the limit of open files");
    }
    for warning in &settings.without_effect {
        tracing::warn!("{}", Escaped(warning));
    }
    let runtime = runtime(threads(settings)).context("cannot start the runtime")?;
    runtime.block_on(serve(settings))
}

/// One processor is left to the system, whose network code works for each message as long as we do,
/// and to whatever else there is. More threads than processors to run them wake each other in vain.
fn threads(settings: &Settings) -> usize {
    let processors = || thread::available_parallelism().map_or(1, NonZero::get);
    settings
        .threads
        .map_or_else(|| (processors() - 1).max(1), usize::from)
}

/// A runtime that hears clients in the order in which they have sent something.
fn runtime(threads: usize) -> io::Result<Runtime> {
    let mut runtime = if threads == 1 {
        // It has nobody to wake and nothing to share.
        runtime::Builder::new_current_thread()
    } else {
        runtime::Builder::new_multi_thread()
    };
    // With the slot for the last task woken, the last of two clients would be heard first.
    #[cfg(tokio_unstable)]
    runtime.disable_lifo_slot();
    runtime.worker_threads(threads).enable_all().build()
}

async fn serve(settings: &Settings) -> anyhow::Result<()> {
    // Before anything is announced: who waits for the start-up line may end us right after it.
    let signals = Signals::new().context("cannot wait for signals")?;
    // Before the store is opened, which may take long.
    let (Interfaces { all, certificates }, access) = open(settings)?;
    let store = settings.store.open().await?;
    let server = all
        .into_iter()
        .fold(Server::builder(), ServerBuilder::listen);
    let server = mosca_options::apply(server, &settings.options).persistence(store);
    let server = match access.hooks() {
        Some(hooks) => server.hooks(hooks),
        None => server,
    };
    let server = match settings.engine.open()? {
        Some(engine) => server.backend(engine),
        None => server,
    };
    let server = server.start().await?;
    announce(&server).context("cannot write to stdout")?;
    log_engine(settings, &server);
    let _ends_with_the_runtime = tokio::spawn(memory::give_back());

    signals.heed(&server, &access, &certificates).await;
    let left = server.close(CLOSE_LIMIT).await;
    if left > 0 {
        tracing::warn!(left, "connections did not end in time");
    }
    Ok(())
}

/// The signals that the broker hears.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Does what they say until one says to end, and looks after those whose time is over meanwhile.
    async fn heed(mut self, server: &Server, access: &Access, certificates: &Certificates) {
        let mut expiry = tokio::time::interval(EXPIRY_INTERVAL);
        expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => {
                    tracing::info!("interrupted, closing");
                    return;
                }
                _ = self.terminate.recv() => {
                    tracing::info!("terminated, closing");
                    return;
                }
                _ = self.hangup.recv() => {
                    certificates.reload();
                    if access.reload().await {
                        server.reauthorize();
                    }
                }
                _ = expiry.tick(), if access.expires() => {
                    for client_id in access.due() {
                        server.reauthorize_client(&client_id);
                    }
                }
            }
        }
    }
}

/// What connects this broker with others, if anything does.
fn log_engine(settings: &Settings, server: &Server) {
    if let Some(state) = server.backend_state() {
        tracing::info!(
            engine = %Escaped(&settings.engine),
            prefix = %Escaped(&settings.engine.prefix()),
            id = %Escaped(&server.id()),
            state = %Escaped(&state),
            "this broker is one of several"
        );
    }
}

/// One line per interface, for people and for scripts that wait for it.
fn announce(server: &Server) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for url in server.urls() {
        writeln!(
            stdout,
            "mosca {} listening: {url}",
            env!("CARGO_PKG_VERSION")
        )?;
    }
    stdout.flush()
}
