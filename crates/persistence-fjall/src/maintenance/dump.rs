//! Printing a store: a line of JSON for each record.

use std::io::Write;
use std::path::Path;

use broker_core::persistence::{InflightStage, SessionKey, StoredOutgoing};
use broker_core::{Message, SubscriptionOptions, Timestamp};
use fjall::Readable;
use persistence_records::{OutgoingRecord, SessionRecord, decode_message, decode_will};
use serde_json::{Map, Value, json};

use super::{MaintenanceError, Report, Steps};
use crate::changes::number;
use crate::engine::Engine;
use crate::error::{Failure, damaged};
use crate::keys::{self, Content};
use crate::lookup::{Lookup, expand, text};
use crate::{FjallOptions, open};

/// What was printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dumped {
    /// Lines, one for each record.
    pub lines: u64,
}

/// Prints a store, a JSON object on each line: first each session with what belongs to it behind it,
/// then retained messages, then wills, each in the order of their names.
///
/// | `record` | other members |
/// | --- | --- |
/// | `session` | `client`, `incarnation`, `expiry_interval_secs`, `disconnected_at` |
/// | `subscription` | `client`, `filter`, `qos`, `no_local`, `retain_as_published`, `identifier` |
/// | `incoming` | `client`, `packet_id` |
/// | `outgoing` | `client`, `sequence`, `qos`, `retain`, `subscription_ids`, `shared`, `packet_id`, `stage`, `message` |
/// | `retained` | `message` |
/// | `will` | `client`, `incarnation`, `node`, `delay_secs`, `expiry_interval_secs`, `message` |
///
/// A message has `topic`, `qos`, `retain`, `expires`, and `payload` and `properties` as text if they
/// are UTF-8, otherwise as `payload_hex` and `properties_hex`. Times are in milliseconds since 1970;
/// `null` stands for never, and for what is not there.
///
/// # Errors
/// If the store cannot be opened or read, the output cannot be written, or the callback has ended it.
pub fn dump(
    path: &Path,
    output: &mut dyn Write,
    report: Report<'_>,
) -> Result<Dumped, MaintenanceError> {
    let (_place, engine) = open(path, &FjallOptions::default(), false)?;
    let records = [
        &engine.sessions,
        &engine.contents,
        &engine.retained,
        &engine.wills,
    ];
    let total: usize = records.iter().map(|part| part.approximate_len()).sum();
    let mut dump = Dump {
        lookup: Lookup::new(&engine),
        output,
        steps: Steps::new(report, u64::try_from(total).unwrap_or(u64::MAX))?,
        dumped: Dumped::default(),
    };
    dump.sessions(&engine)?;
    dump.retained(&engine)?;
    dump.wills(&engine)?;
    dump.output.flush()?;
    dump.steps.end()?;
    Ok(dump.dumped)
}

struct Dump<'e, 'o, 'r> {
    lookup: Lookup<'e>,
    output: &'o mut dyn Write,
    steps: Steps<'r>,
    dumped: Dumped,
}

impl Dump<'_, '_, '_> {
    fn line(&mut self, record: &Value) -> Result<(), MaintenanceError> {
        writeln!(self.output, "{record}")?;
        self.dumped.lines += 1;
        self.steps.step()
    }

    fn sessions(&mut self, engine: &Engine) -> Result<(), MaintenanceError> {
        self.steps.begin("sessions")?;
        for entry in self.lookup.at.iter(&engine.sessions) {
            let (key, value) = entry.into_inner()?;
            let client = text("a session", &key)?;
            let record = SessionRecord::decode(&value)
                .map_err(|error| damaged(format!("session {client:?}"), error))?;
            let SessionKey { incarnation, .. } = record.into_stored("".into()).session;
            self.line(&json!({
                "record": "session",
                "client": client,
                "incarnation": incarnation,
                "expiry_interval_secs": record.expiry_interval_secs,
                "disconnected_at": record.disconnected_at.map(Timestamp::as_millis),
            }))?;
            self.contents(engine, client, record.number)?;
        }
        Ok(())
    }

    fn contents(
        &mut self,
        engine: &Engine,
        client: &str,
        session: u64,
    ) -> Result<(), MaintenanceError> {
        let prefix = keys::contents(session);
        for entry in self.lookup.at.prefix(&engine.contents, prefix) {
            let (key, value) = entry.into_inner()?;
            let unreadable = |reason| damaged(format!("a record of session {client:?}"), reason);
            match keys::read_contents(&key).map_err(|error| unreadable(error.to_string()))? {
                (_, Content::Incoming(packet_id)) => self.line(&json!({
                    "record": "incoming",
                    "client": client,
                    "packet_id": packet_id.get(),
                }))?,
                (_, Content::Queue) => {}
                (_, Content::Subscription(filter)) => {
                    for (filter, options) in expand(filter, &value)? {
                        let filter = text("a subscription", &filter)?.to_owned();
                        self.line(&subscription(client, &filter, &options))?;
                    }
                }
                (_, Content::Outgoing(sequence)) => {
                    let record = OutgoingRecord::decode(&value)
                        .map_err(|error| unreadable(error.to_string()))?;
                    let message = match record.message {
                        Some(id) => Some(self.lookup.message(number(id)?)?),
                        None => None,
                    };
                    let stored = record.into_stored(sequence, message);
                    self.line(&outgoing(client, &stored))?;
                }
            }
        }
        Ok(())
    }

    fn retained(&mut self, engine: &Engine) -> Result<(), MaintenanceError> {
        self.steps.begin("retained messages")?;
        for entry in self.lookup.at.iter(&engine.retained) {
            let (key, value) = entry.into_inner()?;
            let retained = decode_message(&value).map_err(|error| unreadable(&key, error))?;
            self.line(&json!({ "record": "retained", "message": message(&retained) }))?;
        }
        Ok(())
    }

    fn wills(&mut self, engine: &Engine) -> Result<(), MaintenanceError> {
        self.steps.begin("wills")?;
        for entry in self.lookup.at.iter(&engine.wills) {
            let (key, value) = entry.into_inner()?;
            let client = text("a will", &key)?;
            let will =
                decode_will(client.into(), &value).map_err(|error| unreadable(&key, error))?;
            self.line(&json!({
                "record": "will",
                "client": client,
                "incarnation": will.session.incarnation,
                "node": &*will.node,
                "delay_secs": will.delay_secs,
                "expiry_interval_secs": will.expiry_interval_secs,
                "message": message(&will.message),
            }))?;
        }
        Ok(())
    }
}

fn unreadable(key: &[u8], error: impl core::fmt::Display) -> Failure {
    damaged(format!("{:?}", String::from_utf8_lossy(key)), error)
}

fn subscription(client: &str, filter: &str, options: &SubscriptionOptions) -> Value {
    json!({
        "record": "subscription",
        "client": client,
        "filter": filter,
        "qos": options.qos.as_u8(),
        "no_local": options.no_local,
        "retain_as_published": options.retain_as_published,
        "identifier": options.identifier,
    })
}

fn outgoing(client: &str, stored: &StoredOutgoing) -> Value {
    let stage = stored.inflight.map(|(_, stage)| match stage {
        InflightStage::Published => "published",
        InflightStage::Released => "released",
    });
    json!({
        "record": "outgoing",
        "client": client,
        "sequence": stored.sequence,
        "qos": stored.qos.as_u8(),
        "retain": stored.retain,
        "subscription_ids": stored.subscription_ids.as_slice(),
        "shared": stored.shared.as_deref(),
        "packet_id": stored.inflight.map(|(packet_id, _)| packet_id.get()),
        "stage": stage,
        "message": stored.message.as_deref().map(message),
    })
}

fn message(message: &Message) -> Value {
    let expires = message.expires();
    let mut object = Map::new();
    object.insert("topic".to_owned(), message.topic().into());
    object.insert("qos".to_owned(), message.qos().as_u8().into());
    object.insert("retain".to_owned(), message.retain().into());
    let expires = (expires != Timestamp::MAX).then(|| expires.as_millis());
    object.insert("expires".to_owned(), expires.into());
    for (name, bytes) in [
        ("properties", message.properties()),
        ("payload", message.payload()),
    ] {
        match core::str::from_utf8(bytes) {
            Ok(text) => object.insert(name.to_owned(), text.into()),
            Err(_) => object.insert(format!("{name}_hex"), hex(bytes).into()),
        };
    }
    Value::Object(object)
}

fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
