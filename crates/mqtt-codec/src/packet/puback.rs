//! PUBACK: the receiver of a QoS 1 message has taken it over (section 3.4). Its layout is in `ack.rs`.

super::ack::ack_packet! {
    /// PUBACK: the receiver of a QoS 1 message has taken it over (section 3.4).
    ///
    /// Reason codes from 0x80 up mean that it has not, and that the message is not to be sent again.
    PubAck, is_for_puback
}
