//! Rules beside a broker: each reading in Celsius is published in Fahrenheit as well, and an alarm is raised
//! while it is too hot.
//!
//! ```console
//! $ cargo run -p mosca --example rule_engine
//! $ mosquitto_sub -t 'room/#' -t 'alarm/#' -v
//! $ mosquitto_pub -t room/7/celsius -m 31
//! ```

use std::time::Duration;

use mosca::{Interface, PublishError, QoS, Received, Server, Subscription};

/// In degrees Celsius.
const TOO_HOT: f64 = 30.0;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().listen(Interface::mqtt("127.0.0.1:1883"));
    let server = server.start().await?;
    let readings = server.subscribe("room/+/celsius")?;
    tokio::select! {
        result = apply(&server, readings) => result?,
        stopped = tokio::signal::ctrl_c() => stopped?,
    }
    server.close(Duration::from_secs(5)).await;
    Ok(())
}

/// Applies the rules to all readings, until the server closes.
pub async fn apply(server: &Server, mut readings: Subscription) -> Result<(), PublishError> {
    while let Some(reading) = readings.recv().await {
        // What is no reading is for no rule.
        let Some((room, celsius)) = parse(&reading) else {
            continue;
        };
        let fahrenheit = format!("{:.1}", celsius * 1.8 + 32.0);
        let topic = format!("room/{room}/fahrenheit");
        server.publish_to(&topic, &fahrenheit).await?;

        let alarm = format!("alarm/{room}");
        let state = if celsius > TOO_HOT { "too hot" } else { "" };
        // Retained, so that whoever looks later sees it; an empty one takes it back.
        server
            .publish_to(&alarm, state)
            .qos(QoS::AtLeastOnce)
            .retain()
            .await?;
    }
    Ok(())
}

fn parse(reading: &Received) -> Option<(&str, f64)> {
    let room = reading.topic().split('/').nth(1)?;
    let celsius = std::str::from_utf8(reading.payload()).ok()?.parse().ok()?;
    Some((room, celsius))
}
