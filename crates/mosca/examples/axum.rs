//! A web application of one's own with a broker in it: pages and an API by axum, MQTT over WebSocket at
//! `/mqtt`, and MQTT over TCP beside them.
//!
//! ```console
//! $ cargo run -p mosca --example axum
//! $ curl http://localhost:8080/sessions
//! $ curl -d 'on' http://localhost:8080/lamp
//! ```

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use mosca::{Interface, Message, MessageParts, QoS, Server, StreamPeer, Timestamp};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let interface = Interface::mqtt_on_all_addresses(1883);
    let server = Arc::new(Server::builder().listen(interface).start().await?);
    let listener = TcpListener::bind("[::]:8080").await?;
    serve(listener, Arc::clone(&server), tokio::signal::ctrl_c()).await?;
    // Whoever is still there hears that the server closes.
    if let Some(server) = Arc::into_inner(server) {
        server.close(Duration::from_secs(5)).await;
    }
    Ok(())
}

/// Serves the application until `stop` is there.
pub async fn serve<T>(
    listener: TcpListener,
    server: Arc<Server>,
    stop: impl Future<Output = T> + Send + 'static,
) -> io::Result<()> {
    // Pages of other sites cannot connect in the name of who looks at them.
    let mqtt = server
        .websocket_service()
        .origins(["http://localhost:8080"]);
    let application = Router::new()
        .route("/sessions", get(sessions))
        .route("/lamp", post(lamp))
        .route_service("/mqtt", mqtt)
        .layer(middleware::from_fn(name_peer))
        .with_state(server);
    let application = application.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, application)
        .with_graceful_shutdown(async {
            stop.await;
        })
        .await
}

/// Tells the broker from where a client comes, for its log and its limits.
async fn name_peer(
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(StreamPeer::from(address));
    next.run(request).await
}

/// How many sessions the broker has.
async fn sessions(State(server): State<Arc<Server>>) -> String {
    format!("{}\n", server.sizes().sessions)
}

/// Publishes what comes as the state of the lamp.
async fn lamp(State(server): State<Arc<Server>>, state: String) -> Result<(), StatusCode> {
    let message = Message::new(MessageParts {
        topic: "lamp/state",
        properties: &[],
        payload: state.as_bytes(),
        qos: QoS::AtLeastOnce,
        retain: true,
        expires: Timestamp::MAX,
    });
    let published = server.publish(&message).await;
    published.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)
}
