//! PUBREC: the receiver of a QoS 2 message has taken it over (section 3.5). Its layout is in `ack.rs`.

super::ack::ack_packet! {
    /// PUBREC: the receiver of a QoS 2 message has taken it over (section 3.5).
    ///
    /// With a reason code from 0x80 up the delivery ends here, without PUBREL.
    PubRec, is_for_puback
}
