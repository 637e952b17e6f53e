//! A parent keeps what every engine promises: mosquitto, and a mosca.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where an engine cannot answer"
)]

use std::sync::Mutex;
use std::time::Duration;

use backend_mqtt::{MqttBackend, MqttBackendOptions};
use broker_core::backend::contract::Factory;
use mosca::{Interface, Server};
use test_servers::mosquitto::{Mosquitto, MosquittoBuilder};
use tokio::runtime::Runtime;

fn backend(url: &str) -> MqttBackend {
    MqttBackend::new(MqttBackendOptions::new(url.parse().unwrap()))
}

/// With the settings that the page of the crate asks for: it drops nothing because it is much.
fn mosquitto() -> MosquittoBuilder {
    Mosquitto::new()
        .option("max_queued_messages", "1000000")
        .option("max_inflight_messages", "0")
}

struct OverMosquitto(Runtime);

impl OverMosquitto {
    fn new() -> Self {
        Self(Runtime::new().unwrap())
    }
}

impl Factory for OverMosquitto {
    type Engine = Mutex<Mosquitto>;
    type Backend = MqttBackend;

    fn create(&self) -> Self::Engine {
        Mutex::new(mosquitto().start())
    }

    fn open(&self, engine: &Self::Engine) -> Self::Backend {
        backend(&engine.lock().unwrap().url())
    }

    fn lose(&self, engine: &Self::Engine) -> bool {
        engine.lock().unwrap().kill();
        true
    }

    fn restore(&self, engine: &Self::Engine) {
        engine.lock().unwrap().start_again();
    }

    fn around(&self, case: &mut dyn FnMut()) {
        let _entered = self.0.enter();
        case();
    }
}

mod over_mosquitto {
    use super::OverMosquitto;

    broker_core::backend_contract!(OverMosquitto::new());
}

/// A mosca, which is closed and started anew on its port.
struct OverMosca(Runtime);

struct Parent {
    port: u16,
    server: Mutex<Option<Server>>,
}

impl OverMosca {
    fn new() -> Self {
        Self(Runtime::new().unwrap())
    }

    fn start(&self, port: u16) -> Server {
        let builder = Server::builder().listen(Interface::mqtt(format!("127.0.0.1:{port}")));
        self.0.block_on(builder.start()).unwrap()
    }
}

impl Factory for OverMosca {
    type Engine = Parent;
    type Backend = MqttBackend;

    fn create(&self) -> Parent {
        let port = test_servers::free_port();
        let server = Mutex::new(Some(self.start(port)));
        Parent { port, server }
    }

    fn open(&self, engine: &Parent) -> MqttBackend {
        backend(&format!("mqtt://127.0.0.1:{}", engine.port))
    }

    fn lose(&self, engine: &Parent) -> bool {
        let server = engine.server.lock().unwrap().take();
        if let Some(server) = server {
            self.0.block_on(server.close(Duration::from_secs(5)));
        }
        true
    }

    fn restore(&self, engine: &Parent) {
        *engine.server.lock().unwrap() = Some(self.start(engine.port));
    }

    fn around(&self, case: &mut dyn FnMut()) {
        let _entered = self.0.enter();
        case();
    }
}

mod over_mosca {
    use super::OverMosca;

    broker_core::backend_contract!(OverMosca::new());
}
