//! `mosca pub`: one message, or one for each line of the standard input.

use std::process::ExitCode;

use anyhow::Context as _;
use mqtt_client::{Client, OwnedPublish, PropertiesBuf, Property};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use super::args::{PublishArgs, quality};

pub(super) async fn run(args: &PublishArgs) -> anyhow::Result<ExitCode> {
    let properties = properties(args)?;
    let message = |payload: Vec<u8>| OwnedPublish {
        dup: false,
        qos: quality(args.qos),
        retain: args.retain,
        topic: args.topic.clone(),
        packet_id: None,
        properties: properties.clone(),
        payload: payload.into(),
    };
    // Before anybody is disturbed with a connection.
    let payload = if args.lines {
        None
    } else {
        Some(payload(args).await?)
    };
    let mut client = super::connect(&args.connection).await?;
    match payload {
        Some(payload) => publish(&mut client, message(payload)).await?,
        None => {
            let mut lines = BufReader::new(tokio::io::stdin());
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).await? > 0 {
                let end = line.strip_suffix(b"\n").unwrap_or(&line);
                let end = end.strip_suffix(b"\r").unwrap_or(end);
                publish(&mut client, message(end.to_vec())).await?;
                line.clear();
            }
        }
    }
    client.disconnect().await?;
    Ok(ExitCode::SUCCESS)
}

async fn publish(client: &mut Client, message: OwnedPublish) -> anyhow::Result<()> {
    client.publish(message).await.context("cannot publish")?;
    Ok(())
}

async fn payload(args: &PublishArgs) -> anyhow::Result<Vec<u8>> {
    if let Some(text) = &args.message {
        return Ok(text.clone().into_bytes());
    }
    if let Some(path) = &args.file {
        let read = tokio::fs::read(path).await;
        return read.with_context(|| path.display().to_string());
    }
    let mut payload = Vec::new();
    if args.stdin {
        tokio::io::stdin().read_to_end(&mut payload).await?;
    }
    Ok(payload)
}

fn properties(args: &PublishArgs) -> anyhow::Result<PropertiesBuf> {
    let text = |text: &Option<String>, property: fn(&str) -> Property<'_>| {
        text.clone().map(|text| (text, property))
    };
    let texts = [
        text(&args.content_type, |text| Property::ContentType(text)),
        text(&args.response_topic, |text| Property::ResponseTopic(text)),
        text(&args.correlation_data, |text| {
            Property::CorrelationData(text.as_bytes())
        }),
    ];
    let mut properties = PropertiesBuf::new();
    if let Some(secs) = args.expiry {
        properties.push(Property::MessageExpiryInterval(secs))?;
    }
    for (text, property) in texts.iter().flatten() {
        properties.push(property(text))?;
    }
    for (name, value) in &args.user_property {
        properties.push(Property::UserProperty(name, value))?;
    }
    Ok(properties)
}
