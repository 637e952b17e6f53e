//! `mosca sub`: prints what comes, until it is told to end.

use std::future;
use std::process::ExitCode;
use std::time::Duration;

use mqtt_client::{OwnedPublish, RetainHandling, Subscription, SubscriptionOptions};

use super::args::{SubscribeArgs, quality};
use super::interrupts::Interrupts;
use super::output;
use super::show::Form;

pub(super) async fn run(args: &SubscribeArgs) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::new()?;
    let within = args.within.map(Duration::from_secs);
    let time_is_over = async {
        match within {
            Some(within) => tokio::time::sleep(within).await,
            None => future::pending().await,
        }
    };
    tokio::pin!(time_is_over);

    let mut client = super::connect(&args.connection).await?;
    super::subscribe_to(&mut client, &args.connection, &subscriptions(args)).await?;
    let form = Form::of(args);
    let mut left = args.count;
    while left != Some(0) {
        let message = tokio::select! {
            message = client.receive() => message?,
            () = interrupts.heard() => break,
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

fn subscriptions(args: &SubscribeArgs) -> Vec<Subscription> {
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
    subscriptions.collect()
}

/// `false` when nobody reads any more.
fn print(form: &Form, message: &OwnedPublish) -> anyhow::Result<bool> {
    let mut line = Vec::new();
    form.write(message, &mut line);
    output::write(&line)
}
