//! What a line of the log says of a client.

use broker_core::{Connection, Quoted};
use tracing::field::{DisplayValue, display};

/// The client identifier, once it is known.
pub(crate) fn client_id(connection: &Connection) -> Option<DisplayValue<Quoted<'_>>> {
    connection.client_id().map(|id| display(Quoted(id)))
}

/// Who the client is, where that was found out.
pub(crate) fn user(connection: &Connection) -> Option<DisplayValue<Quoted<'_>>> {
    connection.user().map(|user| display(Quoted(user)))
}
