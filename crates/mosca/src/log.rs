//! How much of what a client says of itself goes into the log.

use broker_core::Connection;

/// Bytes of a client identifier, or of a user's name, that are logged. It may have 65,535, and whoever connects chooses
/// it: lines as long as that fill the disk, and the pipe to whom reads them.
const NAME_BYTES: usize = 256;

/// The client identifier as it stands in a line of the log, once it is known.
pub(crate) fn client_id(connection: &Connection) -> Option<&str> {
    connection.client_id().map(|id| beginning(id))
}

/// Who the client is, where that was found out.
pub(crate) fn user(connection: &Connection) -> Option<&str> {
    connection.user().map(|user| beginning(user))
}

pub(crate) fn beginning(name: &str) -> &str {
    if name.len() <= NAME_BYTES {
        return name;
    }
    let ends = name.char_indices().map(|(start, _)| start);
    let end = ends.take_while(|end| *end <= NAME_BYTES).last();
    name.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_identifier_is_cut_between_two_characters() {
        assert_eq!(beginning(""), "");
        assert_eq!(beginning("sensor-17"), "sensor-17");
        assert_eq!(beginning(&"a".repeat(256)).len(), 256);
        assert_eq!(beginning(&"a".repeat(257)).len(), 256);
        // Three bytes each: the 86th would go past the limit.
        assert_eq!(beginning(&"ア".repeat(300)).chars().count(), 85);
    }
}
