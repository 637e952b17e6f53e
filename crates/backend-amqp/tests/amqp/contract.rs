//! The engine keeps what every engine promises, with and without a prefix.

use backend_amqp::{AmqpBackend, AmqpBackendOptions};
use broker_core::backend::Prefix;
use broker_core::backend::contract::Factory;

use crate::proxy::Proxy;
use crate::server::{options, runtime};

/// Engines at exchanges of their own, behind a proxy.
struct Amqp {
    prefix: &'static str,
}

impl Factory for Amqp {
    type Engine = (Proxy, AmqpBackendOptions);
    type Backend = AmqpBackend;

    fn create(&self) -> Self::Engine {
        let proxy = tokio::task::block_in_place(Proxy::new);
        let mut options = options();
        options.url = proxy.url();
        options.prefix = Prefix::new(self.prefix).unwrap();
        (proxy, options)
    }

    fn open(&self, (_, options): &Self::Engine) -> AmqpBackend {
        AmqpBackend::new(options.clone())
    }

    fn lose(&self, (proxy, _): &Self::Engine) -> bool {
        proxy.cut();
        true
    }

    fn restore(&self, (proxy, _): &Self::Engine) {
        proxy.open();
    }

    fn around(&self, case: &mut dyn FnMut()) {
        let _entered = runtime().enter();
        case();
    }
}

mod without_prefix {
    use super::Amqp;
    broker_core::backend_contract!(Amqp { prefix: "" });
}

mod with_prefix {
    use super::Amqp;
    broker_core::backend_contract!(Amqp {
        prefix: "/site.7/%"
    });
}
