//! PUBREL: the sender of a QoS 2 message has seen PUBREC (section 3.6). Its layout is in `ack.rs`.

super::ack::ack_packet! {
    /// PUBREL: the sender of a QoS 2 message has seen PUBREC (section 3.6).
    ///
    /// The fixed header carries the flags of QoS 1; MQTT 3.1 also allows DUP there.
    PubRel, is_for_pubrel
}
