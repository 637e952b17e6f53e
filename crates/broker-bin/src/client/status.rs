//! `mosca status`: what a running server says of itself, below `$SYS`.

mod args;
mod figures;
mod show;

use std::collections::HashSet;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) use args::StatusArgs;
use figures::Said;
use mqtt_client::{Client, ClientError, QoS, Subscription};
use tokio::time::{self, Instant, MissedTickBehavior};

use super::interrupts::Interrupts;
use super::output::{self, OutputFormat};

/// All that servers say of themselves.
const FILTER: &str = "$SYS/#";

/// What has been retained comes at once; when nothing has come for so long, all of it has.
const SETTLED: Duration = Duration::from_millis(500);

/// The cursor goes home, and what is below it goes away.
const CLEAR: &str = "\x1b[H\x1b[J";

pub(super) async fn run(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::new()?;
    let within = Duration::from_secs(args.within);
    let (mut client, mut said) = tokio::select! {
        asked = ask(args, within) => asked?,
        () = interrupts.heard() => return Ok(ExitCode::SUCCESS),
    };
    let server = super::address(&args.connection).to_string();
    if said.is_empty() {
        crate::complain(&anyhow::anyhow!(
            "{server} says nothing of itself below $SYS within {} s that mosca or mosquitto would say: it \
             has no statistics, does not show them to this client, or has other names for them (`mosca sub -v \
             -t '{FILTER}'` shows what it says)",
            args.within
        ));
        return Ok(ExitCode::from(super::TIME_IS_OVER));
    }
    let form = Form::of(args);
    let mut is_read = form.print(&server, &said)?;
    if let Some(secs) = args.watch {
        let interval = Duration::from_secs(secs);
        let mut due = time::interval_at(Instant::now() + interval, interval);
        due.set_missed_tick_behavior(MissedTickBehavior::Skip);
        while is_read {
            tokio::select! {
                message = client.receive() => drop(said.take(&message?)),
                _ = due.tick() => is_read = form.print(&server, &said)?,
                () = interrupts.heard() => break,
            }
        }
    }
    client.disconnect().await?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(args: &StatusArgs, within: Duration) -> anyhow::Result<(Client, Said)> {
    let mut client = super::connect(&args.connection).await?;
    let subscription = Subscription::new(FILTER, QoS::AtMostOnce);
    super::subscribe_to(&mut client, &args.connection, &[subscription]).await?;
    let said = first(&mut client, within).await?;
    Ok((client, said))
}

/// Takes in what comes until all has come that was retained, and a round of what is said now if it goes round
/// without a pause.
async fn first(client: &mut Client, within: Duration) -> Result<Said, ClientError> {
    let mut said = Said::default();
    // What has come that was not retained.
    let mut round = HashSet::new();
    let end = Instant::now() + within;
    loop {
        let until = if said.is_empty() {
            end
        } else {
            end.min(Instant::now() + SETTLED)
        };
        let Ok(message) = time::timeout_at(until, client.receive()).await else {
            return Ok(said);
        };
        let message = message?;
        let ends_round = said.take(&message) && !message.retain && !round.insert(message.topic);
        // Where messages never end, time is not looked at while one is waited for.
        if ends_round || Instant::now() >= end {
            return Ok(said);
        }
    }
}

/// How it is printed.
struct Form {
    output: OutputFormat,
    /// Whether a later one takes the place of an earlier one.
    in_place: bool,
    /// Whether there is a later one.
    goes_on: bool,
}

impl Form {
    fn of(args: &StatusArgs) -> Self {
        let goes_on = args.watch.is_some();
        Self {
            output: args.output,
            in_place: goes_on && io::stdout().is_terminal(),
            goes_on,
        }
    }

    /// `false` when nobody reads any more.
    fn print(&self, server: &str, said: &Said) -> anyhow::Result<bool> {
        let text = match self.output {
            OutputFormat::Json => format!("{}\n", show::json(server, said)),
            OutputFormat::Table if self.in_place => {
                format!("{CLEAR}{}", show::table(server, said))
            }
            OutputFormat::Table if self.goes_on => format!("{}\n", show::table(server, said)),
            OutputFormat::Table => show::table(server, said),
        };
        output::write(text.as_bytes())
    }
}
