//! Sections 3.10 and 3.11: UNSUBSCRIBE and UNSUBACK.
