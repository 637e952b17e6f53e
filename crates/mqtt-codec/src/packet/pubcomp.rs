//! PUBCOMP: the receiver of a QoS 2 message has let go of its identifier (section 3.7). Its layout is in `ack.rs`.

super::ack::ack_packet! {
    /// PUBCOMP: the receiver of a QoS 2 message has let go of its identifier (section 3.7).
    ///
    /// The packet identifier may be used again after it.
    PubComp, is_for_pubrel
}
