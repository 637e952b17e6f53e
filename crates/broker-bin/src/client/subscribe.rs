//! `mosca sub`: prints what comes, until it is told to end.

use std::future;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use mqtt_client::{
    Client, ClientError, OwnedPublish, RetainHandling, Subscription, SubscriptionOptions,
};
use tokio::signal::unix::{SignalKind, signal};

use super::args::{SubscribeArgs, quality};
use super::show::Form;

pub(super) async fn run(args: &SubscribeArgs) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let within = args.within.map(Duration::from_secs);
    let time_is_over = async {
        match within {
            Some(within) => tokio::time::sleep(within).await,
            None => future::pending().await,
        }
    };
    tokio::pin!(time_is_over);

    let mut client = super::connect(&args.connection).await?;
    subscribe(&mut client, args).await?;
    let form = Form::of(args);
    let mut left = args.count;
    while left != Some(0) {
        let message = tokio::select! {
            message = client.receive() => message?,
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = &mut time_is_over => break,
        };
        if args.no_retained && message.retain {
            continue;
        }
        if !print(&form, &message)? {
            break;
        }
        left = left.map(|left| left - 1);
    }
    let is_short = within.is_some() && left.is_some_and(|left| left > 0);
    client.disconnect().await?;
    Ok(if is_short {
        ExitCode::from(super::TIME_IS_OVER)
    } else {
        ExitCode::SUCCESS
    })
}

async fn subscribe(client: &mut Client, args: &SubscribeArgs) -> anyhow::Result<()> {
    let options = SubscriptionOptions {
        qos: quality(args.qos),
        no_local: args.no_local,
        retain_as_published: false,
        retain_handling: if args.no_retained {
            RetainHandling::DoNotSend
        } else {
            RetainHandling::Send
        },
    };
    let subscriptions = args.topic.iter().map(|filter| Subscription {
        filter: filter.clone(),
        options,
    });
    let subscriptions: Vec<_> = subscriptions.collect();
    let granted = client.subscribe(&subscriptions).await?;
    for (filter, code) in args.topic.iter().zip(granted) {
        if code.is_error() {
            let error = ClientError::Refused(code, None);
            return Err(error).with_context(|| format!("cannot subscribe to {filter:?}"));
        }
        let connection = &args.connection;
        connection.debug(format_args!("subscribed to {filter:?}: {}", code.as_str()));
    }
    Ok(())
}

/// `false` when nobody reads any more, which is how a pipe ends.
fn print(form: &Form, message: &OwnedPublish) -> anyhow::Result<bool> {
    let mut line = Vec::new();
    form.write(message, &mut line);
    let mut stdout = io::stdout().lock();
    match stdout.write_all(&line).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true).context("cannot write to stdout"),
    }
}
