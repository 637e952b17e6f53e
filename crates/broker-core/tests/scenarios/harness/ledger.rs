//! What each client checks of all that it is sent, whatever the scenario is about.

use std::collections::{BTreeSet, HashMap};

use mqtt_codec::{OwnedPacket, OwnedPublish, Packet, PacketId, Publish, QoS};

/// What has to be cleaned up before nothing may be left.
#[derive(Default)]
pub(crate) struct Traces {
    pub(crate) clients: BTreeSet<String>,
    pub(crate) topics: BTreeSet<String>,
}

impl Traces {
    /// The broker is about to handle this packet.
    pub(crate) fn note(&mut self, packet: &Packet<'_>, ledger: &mut Ledger) {
        match packet {
            Packet::Connect(connect) => {
                self.clients.insert(connect.client_id.to_owned());
                if let Some(will) = &connect.will {
                    self.topics.insert(will.topic.to_owned());
                }
            }
            Packet::Publish(publish) => {
                let topic = ledger.topic_sent(publish);
                if publish.retain {
                    self.topics.insert(topic);
                }
            }
            _ => {}
        }
    }
}

/// What the broker has in use on one connection: packet identifiers and topic aliases.
pub(crate) struct Ledger {
    /// Identifier, quality, and whether PUBREC was sent.
    open: HashMap<PacketId, (QoS, bool)>,
    /// Those of them that came as PUBREL alone, and need no quota (MQTT 5.0 section 4.9).
    resumed: BTreeSet<PacketId>,
    window: usize,
    max_packet_size: usize,
    topic_alias_maximum: u16,
    /// What the broker's aliases stand for, and what the client's do.
    aliases: HashMap<u16, String>,
    own_aliases: HashMap<u16, String>,
    /// Messages that came without a topic name.
    unnamed: usize,
    /// Off once the client has acknowledged what it had not read.
    is_honest: bool,
    is_greeted: bool,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            open: HashMap::new(),
            resumed: BTreeSet::new(),
            window: usize::MAX,
            max_packet_size: usize::MAX,
            topic_alias_maximum: 0,
            aliases: HashMap::new(),
            own_aliases: HashMap::new(),
            unnamed: 0,
            is_honest: true,
            is_greeted: false,
        }
    }
}

impl Ledger {
    /// The broker is about to handle this packet of the client's.
    pub(crate) fn sent(&mut self, packet: &Packet<'_>, max_inflight: u16) {
        let id = match packet {
            Packet::Connect(connect) => {
                let properties = &connect.properties;
                let told = properties.receive_maximum().unwrap_or(u16::MAX);
                self.window = usize::from(told.min(max_inflight));
                let told = properties.maximum_packet_size();
                self.max_packet_size = told.map_or(usize::MAX, |bytes| bytes as usize);
                self.topic_alias_maximum = properties.topic_alias_maximum().unwrap_or(0);
                return;
            }
            Packet::PubAck(puback) => puback.packet_id,
            Packet::PubRec(pubrec) => pubrec.packet_id,
            Packet::PubComp(pubcomp) => pubcomp.packet_id,
            _ => return,
        };
        let Some(open) = self.open.get_mut(&id) else {
            self.is_honest = false;
            return;
        };
        let is_done = match (packet, *open) {
            (Packet::PubAck(_), (qos, _)) => qos == QoS::AtLeastOnce,
            (Packet::PubRec(pubrec), (QoS::ExactlyOnce, false)) => {
                open.1 = true;
                pubrec.reason_code.is_error()
            }
            (Packet::PubRec(_), (QoS::AtLeastOnce, _)) => {
                // Answered with PUBREL, which before MQTT 5 cannot say that it is for nothing.
                self.is_honest = false;
                false
            }
            (Packet::PubComp(_), (_, released)) => released,
            _ => false,
        };
        if is_done {
            self.open.remove(&id);
            self.resumed.remove(&id);
        }
    }

    /// The topic name of what the client publishes: the one that it says, or that its alias stands
    /// for.
    pub(crate) fn topic_sent(&mut self, publish: &Publish<'_>) -> String {
        let Some(alias) = publish.properties.topic_alias() else {
            return publish.topic.to_owned();
        };
        if !publish.topic.is_empty() {
            self.own_aliases.insert(alias, publish.topic.to_owned());
        }
        self.own_aliases.get(&alias).cloned().unwrap_or_default()
    }

    /// Messages that have come without a topic name.
    pub(crate) fn unnamed(&self) -> usize {
        self.unnamed
    }

    /// Gives a message its topic name, as section 3.3.4 of MQTT 5.0 has it.
    fn resolve(&mut self, publish: &mut OwnedPublish) {
        let Some(alias) = publish.properties.as_properties().topic_alias() else {
            assert_ne!(publish.topic, "", "a topic name or an alias");
            return;
        };
        let maximum = self.topic_alias_maximum;
        assert!(alias > 0 && alias <= maximum, "alias {alias} of {maximum}");
        if publish.topic.is_empty() {
            let known = self.aliases.get(&alias);
            publish.topic = known.expect("an alias that was set").clone();
            self.unnamed += 1;
        } else {
            self.aliases.insert(alias, publish.topic.clone());
        }
    }

    /// The client has read this packet. It is given the topic name that it stands for.
    pub(crate) fn received(&mut self, packet: &mut OwnedPacket, size: usize) {
        assert!(size <= self.max_packet_size, "[MQTT-3.1.2-24]");
        if !self.is_greeted && matches!(packet, OwnedPacket::Auth(_)) {
            return;
        }
        let is_connack = matches!(packet, OwnedPacket::ConnAck(_));
        assert_ne!(self.is_greeted, is_connack, "CONNACK comes first, and once");
        self.is_greeted = true;
        if let OwnedPacket::Publish(publish) = packet {
            self.resolve(publish);
        }
        if !self.is_honest {
            return;
        }
        match packet {
            OwnedPacket::Publish(publish) => {
                let Some(id) = publish.packet_id else { return };
                let before = self.open.insert(id, (publish.qos, false));
                assert_eq!(before, None, "identifier {} is in use", id.get());
            }
            OwnedPacket::PubRel(pubrel) if !pubrel.reason_code.is_error() => {
                let id = pubrel.packet_id;
                if self.open.insert(id, (QoS::ExactlyOnce, true)).is_none() {
                    self.resumed.insert(id);
                }
            }
            _ => {}
        }
        let open = self.open.len() - self.resumed.len();
        assert!(
            open <= self.window,
            "{open} messages open in a window of {}",
            self.window
        );
    }
}
