//! What all clients of a run have in common, and the phases that they go through together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mqtt_client::{Client, ClientError, Connector, Options};

use super::args::BenchArgs;
use super::meter::Meter;
use super::pace::{Pacer, Schedule};
use super::plan::{Receivers, Roles};
use crate::client::is_refusal;

/// What clients are to do now.
#[derive(Clone)]
pub(super) enum Phase {
    /// To connect, and to subscribe.
    Connecting,
    /// Those who publish begin; by turns, if there is a rate.
    Publishing(Option<Arc<Pacing>>),
    /// They do not begin anything any more.
    Draining,
    /// All take their leave.
    Over,
}

/// When messages are due, and who says so.
pub(super) struct Pacing {
    pub(super) schedule: Schedule,
    pub(super) pacer: Pacer,
}

impl Phase {
    pub(super) fn is_publishing(&self) -> bool {
        !matches!(self, Self::Connecting)
    }

    pub(super) fn is_draining(&self) -> bool {
        matches!(self, Self::Draining | Self::Over)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }
}

/// What all clients of a run have in common.
pub(super) struct Course {
    pub(super) args: BenchArgs,
    pub(super) roles: Roles,
    pub(super) meter: Meter,
    pub(super) receivers: Receivers,
    connector: Connector,
    options: Options,
    /// What their identifiers begin with.
    client_id: String,
}

impl Course {
    pub(super) fn new(
        args: BenchArgs,
        connector: Connector,
        options: Options,
    ) -> anyhow::Result<Self> {
        let meter = Meter::new()?;
        let client_id = match &args.connection.id {
            Some(id) => id.clone(),
            // With eight more digits it is as long as MQTT 3.1 allows.
            None => format!("bench-{:08x}", meter.run),
        };
        Ok(Self {
            roles: args.roles(),
            args,
            meter,
            receivers: Receivers::default(),
            connector,
            options,
            client_id,
        })
    }

    /// What the server has for an answer.
    pub(super) fn timeout(&self) -> Duration {
        self.options.timeout
    }

    /// Connects the client of this number, and counts how that went.
    pub(super) async fn connect(&self, number: u32) -> Result<Client, ClientError> {
        let mut options = self.options.clone();
        options.client_id = format!("{}-{number}", self.client_id);
        let begun = Instant::now();
        let connected = self.connector.connect(&options).await;
        self.meter.count(number, |sample| match &connected {
            Ok(_) => {
                sample.connected += 1;
                sample.connecting.record(begun.elapsed());
            }
            Err(error) => {
                sample.failed += 1;
                sample.refused += u64::from(is_refusal(error));
            }
        });
        connected
    }
}
