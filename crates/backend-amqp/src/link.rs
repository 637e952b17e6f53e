//! What a node has at the server while it is connected: two connections, a queue, and its bindings.
//!
//! One connection publishes and the other receives. A server that runs out of memory stops reading from those who
//! publish; if the node's acknowledgements came that way too, its queue would never get shorter.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{
    BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Consumer};
use tokio::sync::Notify;

use crate::AmqpBackendOptions;
use crate::connecting::{Address, Wire, answer};
use crate::failure::Failure;
use crate::keys::Keys;
use crate::receiving::{PREFETCH, Receiver};

/// The longest name of an exchange: those of queues begin with it.
const EXCHANGE_BYTES_MAX: usize = 127;

/// What a node publishes and subscribes with. The connections end with it.
pub(crate) struct Link {
    out: Wire,
    back: Wire,
    pub(crate) publishing: Channel,
    binding: Channel,
    pub(crate) exchange: ShortString,
    queue: ShortString,
    pub(crate) limit: Duration,
    is_cut: Notify,
}

impl Link {
    /// Connects, and makes the queue with what is always bound to it.
    pub(crate) async fn open(
        options: &AmqpBackendOptions,
        keys: &Keys,
        node: &str,
    ) -> Result<(Arc<Self>, Receiver), Failure> {
        let limit = options.timeout;
        let exchange = &*options.exchange;
        if !(1..=EXCHANGE_BYTES_MAX).contains(&exchange.len()) {
            return Err(Failure::refused(
                "the exchange needs a name, 127 bytes at most",
            ));
        }
        let address = Address::new(options)?;
        let (out, back) = tokio::try_join!(
            Wire::open(&address, format!("mosca {node}, to others"), limit),
            Wire::open(&address, format!("mosca {node}, from others"), limit),
        )?;
        let at_exchange = format!("exchange `{exchange}`");
        out.find_exchange(exchange, limit)
            .await
            .map_err(|it| it.when(&at_exchange))?;
        let number = getrandom::u64().map_err(Failure::unavailable)?;
        let queue = format!("{exchange}.{number:016x}");
        let link = Self {
            publishing: out.channel(limit).await?,
            binding: back.channel(limit).await?,
            out,
            back,
            exchange: exchange.into(),
            queue: queue.as_str().into(),
            limit,
            is_cut: Notify::new(),
        };
        let (missed, arriving) = link.make_queues(options, keys).await?;
        let confirms = ConfirmSelectOptions::default();
        answer(limit, link.publishing.confirm_select(confirms)).await?;
        let link = Arc::new(link);
        let receiver = Receiver::new(Arc::clone(&link), link.binding.clone(), arriving, missed);
        Ok((link, receiver))
    }

    /// The queue of the node, and one for what is dropped from it because it is full.
    async fn make_queues(
        &self,
        options: &AmqpBackendOptions,
        keys: &Keys,
    ) -> Result<(Consumer, Consumer), Failure> {
        let queue = self.queue.as_str();
        let (dropped, dropped_key) = (format!("{queue}.missed"), format!("%missed.{queue}"));
        let mut arguments = FieldTable::default();
        let limits = [
            ("x-max-length", options.max_queue_messages),
            ("x-max-length-bytes", options.max_queue_bytes),
        ];
        for (name, most) in limits {
            arguments.insert(name.into(), AMQPValue::LongLongInt(most.into()));
        }
        self.declare(&self.publishing, &dropped, arguments.clone())
            .await?;
        self.bind_queue(&self.publishing, &dropped, &dropped_key, false)
            .await?;
        let no_acknowledgements = BasicConsumeOptions {
            no_ack: true,
            exclusive: true,
            ..BasicConsumeOptions::default()
        };
        let missed = self
            .consume(&self.publishing, &dropped, no_acknowledgements)
            .await?;
        let exchange = AMQPValue::LongString(self.exchange.as_str().into());
        arguments.insert("x-dead-letter-exchange".into(), exchange);
        let key = AMQPValue::LongString(dropped_key.into());
        arguments.insert("x-dead-letter-routing-key".into(), key);
        self.declare(&self.binding, queue, arguments).await?;
        for key in [keys.nodes(), keys.long()] {
            self.bind_queue(&self.binding, queue, key, false).await?;
        }
        let prefetch = self.binding.basic_qos(PREFETCH, BasicQosOptions::default());
        answer(self.limit, prefetch).await?;
        let exclusive = BasicConsumeOptions {
            exclusive: true,
            ..BasicConsumeOptions::default()
        };
        let arriving = self.consume(&self.binding, queue, exclusive).await?;
        Ok((missed, arriving))
    }

    async fn declare(
        &self,
        channel: &Channel,
        name: &str,
        arguments: FieldTable,
    ) -> Result<(), Failure> {
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        let declared = channel.queue_declare(name.into(), options, arguments);
        match answer(self.limit, declared).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.when("a queue")),
        }
    }

    async fn bind_queue(
        &self,
        channel: &Channel,
        queue: &str,
        key: &str,
        nowait: bool,
    ) -> Result<(), Failure> {
        let bound = channel.queue_bind(
            queue.into(),
            self.exchange.clone(),
            key.into(),
            QueueBindOptions { nowait },
            FieldTable::default(),
        );
        let bound = answer(self.limit, bound).await;
        bound.map_err(|it| it.when("a binding"))
    }

    async fn consume(
        &self,
        channel: &Channel,
        queue: &str,
        options: BasicConsumeOptions,
    ) -> Result<Consumer, Failure> {
        let consumer = channel.basic_consume(
            queue.into(),
            ShortString::default(),
            options,
            FieldTable::default(),
        );
        answer(self.limit, consumer).await
    }

    /// Binds keys to the queue. The server answers the last, when it has all of them.
    pub(crate) async fn bind(&self, keys: &[String]) -> Result<(), Failure> {
        let last = keys.len().saturating_sub(1);
        for (number, key) in keys.iter().enumerate() {
            self.bind_queue(&self.binding, self.queue.as_str(), key, number < last)
                .await?;
        }
        Ok(())
    }

    pub(crate) async fn unbind(&self, keys: &[String]) -> Result<(), Failure> {
        for key in keys {
            let unbound = self.binding.queue_unbind(
                self.queue.clone(),
                self.exchange.clone(),
                key.as_str().into(),
                FieldTable::default(),
            );
            answer(self.limit, unbound).await?;
        }
        Ok(())
    }

    /// The largest frame that the server takes, in bytes.
    pub(crate) fn frame_max(&self) -> usize {
        self.out.frame_max()
    }

    /// Ends both connections at once.
    pub(crate) fn cut(&self) {
        self.is_cut.notify_one();
        self.out.cut();
        self.back.cut();
    }

    /// Waits until somebody has cut it; for the receiver alone.
    pub(crate) async fn cut_by_others(&self) {
        self.is_cut.notified().await;
    }

    /// Ends both in the words of AMQP.
    pub(crate) async fn close(&self) -> Result<(), Failure> {
        let (out, back) = tokio::join!(self.out.close(self.limit), self.back.close(self.limit));
        out.and(back)
    }
}
