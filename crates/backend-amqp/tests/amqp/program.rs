//! A program that knows AMQP and nothing of nodes.

use backend_amqp::AmqpBackendOptions;
use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer,
    ExchangeKind,
};

use crate::server::SERVER;

pub(crate) struct Program {
    pub(crate) channel: Channel,
    exchange: String,
    _connection: Connection,
}

impl Program {
    pub(crate) async fn connect(options: &AmqpBackendOptions) -> Self {
        let url = SERVER.url();
        let connection = Connection::connect(&url, ConnectionProperties::default());
        let connection = connection.await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let confirms = ConfirmSelectOptions::default();
        channel.confirm_select(confirms).await.unwrap();
        Self {
            channel,
            exchange: options.exchange.clone(),
            _connection: connection,
        }
    }

    pub(crate) async fn make_exchange(&self, kind: ExchangeKind, durable: bool) {
        let options = ExchangeDeclareOptions {
            durable,
            ..ExchangeDeclareOptions::default()
        };
        let name = self.exchange.as_str().into();
        let made = self
            .channel
            .exchange_declare(name, kind, options, FieldTable::default());
        made.await.unwrap();
    }

    pub(crate) async fn delete_exchange(&self) {
        let options = ExchangeDeleteOptions::default();
        let deleted = self
            .channel
            .exchange_delete(self.exchange.as_str().into(), options);
        deleted.await.unwrap();
    }

    /// Whether anybody has got it.
    pub(crate) async fn publish(
        &self,
        key: &str,
        properties: BasicProperties,
        body: &[u8],
    ) -> bool {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let exchange = self.exchange.as_str().into();
        let sent = self
            .channel
            .basic_publish(exchange, key.into(), options, body, properties);
        let confirmed = sent.await.unwrap().await.unwrap();
        matches!(confirmed, Confirmation::Ack(None))
    }

    /// What is published with keys that match.
    pub(crate) async fn listen(&self, binding: &str) -> Consumer {
        let queue = QueueDeclareOptions {
            exclusive: true,
            ..QueueDeclareOptions::default()
        };
        let declared = self
            .channel
            .queue_declare("".into(), queue, FieldTable::default());
        let queue = declared.await.unwrap().name().clone();
        let bound = self.channel.queue_bind(
            queue.clone(),
            self.exchange.as_str().into(),
            binding.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bound.await.unwrap();
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let consumer = self
            .channel
            .basic_consume(queue, "".into(), options, FieldTable::default());
        consumer.await.unwrap()
    }
}

pub(crate) async fn next(consumer: &mut Consumer) -> Delivery {
    consumer.next().await.unwrap().unwrap()
}
