//! Hooks: who comes in, publishes and subscribes is what the program says, and it hears what happens. What
//! it says of messages that are about to be sent is in `forward`.

mod again;
mod delivered;
mod entry;
mod events;
mod requests;
mod script;

use std::time::Duration;

use broker_core::{Authentication, CloseCause, HookSet, PublishVerdict, SubscribeVerdict};
use mqtt_codec::{OwnedPacket, Packet, PubAck, PubRec, QoS, ReasonCode, Version};

use crate::harness::*;
use script::*;
