//! One connection to the parent, while it stands: everything goes to and fro on it at the same time.

use broker_core::Timestamp;
use broker_core::backend::{BackendError, Content, Envelope, StampClock};
use mqtt_client::{Client, ClientError, ClientEvent, OwnedPublish};
use tokio::time::Instant;

use crate::connecting::{Connected, warn_of_control};
use crate::delivery::Delivery;
use crate::echoes::Echoes;
use crate::filters::{Filters, Request};
use crate::incoming::{Arrived, arrived, hear};
use crate::kept::Kept;
use crate::publishing::{Batch, Publishing};
use crate::terms::Terms;

/// Bytes that wait until the parent takes them; one message beyond may wait however large it is.
pub(crate) const OUTPUT_MAX: usize = 256 << 10;

pub(crate) struct Session {
    client: Client,
    terms: Terms,
    filters: Filters,
    publishing: Option<Publishing>,
    /// Before MQTT 5.0 alone, and so is what is kept.
    echoes: Echoes,
    kept: Kept,
    /// When the parent has answered last, or was asked after there was nothing to answer.
    answered: Instant,
}

impl Session {
    /// `kept` is what was known before to be retained at the parent.
    pub(crate) fn new(connected: Connected, kept: Kept) -> Self {
        Self {
            client: connected.client,
            terms: connected.terms,
            filters: Filters::default(),
            publishing: None,
            echoes: Echoes::default(),
            kept,
            answered: Instant::now(),
        }
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Whether a batch is not accepted yet; there is one at a time.
    pub(crate) fn is_publishing(&self) -> bool {
        self.publishing.is_some()
    }

    /// Whether filters are being changed; one request is at a time.
    pub(crate) fn is_changing_filters(&self) -> bool {
        self.filters.is_changing()
    }

    /// Since when the parent owes an answer to something that it has.
    pub(crate) fn waits_since(&self) -> Option<Instant> {
        let awaits = self.awaits() && self.client.queued_bytes() == 0;
        awaits.then_some(self.answered)
    }

    fn awaits(&self) -> bool {
        let publishing = self.publishing.as_ref();
        self.filters.awaits() || publishing.is_some_and(Publishing::awaits)
    }

    pub(crate) fn publish(&mut self, batch: Batch, stamps: &StampClock) -> Result<(), ClientError> {
        self.note_question();
        for envelope in &batch.envelopes {
            hear(envelope, stamps);
        }
        self.publishing = Some(Publishing::new(batch));
        self.go_on()
    }

    pub(crate) fn change_filters(&mut self, request: Request) -> Result<(), ClientError> {
        self.note_question();
        self.filters.begin(request, &self.terms);
        self.go_on()
    }

    fn note_question(&mut self) {
        if !self.awaits() {
            self.answered = Instant::now();
        }
    }

    /// Sends what may be sent, and answers what is over.
    fn go_on(&mut self) -> Result<(), ClientError> {
        self.filters.go_on(&mut self.client, &self.terms)?;
        let Some(mut publishing) = self.publishing.take() else {
            return Ok(());
        };
        let (filters, is_v5) = (&self.filters, self.terms.is_v5());
        let (echoes, kept) = (&mut self.echoes, &mut self.kept);
        publishing.go_on(&mut self.client, &self.terms, |sent| {
            // Otherwise it says whose it is, or the parent knows.
            if !is_v5 && !sent.is_control {
                if sent.retain {
                    kept.note(sent.topic(), sent.payload());
                }
                if filters.matches(sent.topic()) {
                    echoes.expect(sent.topic(), sent.payload(), Instant::now());
                }
            }
        })?;
        match publishing.is_over() {
            true => publishing.accept(),
            false => self.publishing = Some(publishing),
        }
        Ok(())
    }

    /// What the parent says next. Nothing is lost if this is not waited for to the end.
    pub(crate) async fn event(&mut self) -> Result<ClientEvent, ClientError> {
        self.client.event().await
    }

    /// Handles what the parent has said.
    pub(crate) fn take(
        &mut self,
        event: ClientEvent,
        stamps: &StampClock,
        now: Timestamp,
        delivery: &mut Delivery,
    ) -> Result<(), ClientError> {
        match event {
            ClientEvent::Message(message) => {
                self.take_message(&message, stamps, now, delivery);
                return Ok(());
            }
            ClientEvent::Acknowledged {
                packet_id,
                reason_code,
            } => {
                let publishing = self.publishing.as_mut();
                let forbidden = publishing.and_then(|it| it.acknowledged(packet_id, reason_code));
                if let Some(code) = forbidden
                    && let Some(topic) = self.terms.control.take()
                {
                    warn_of_control(&topic, Some(code));
                }
            }
            ClientEvent::Subscribed {
                packet_id,
                reason_codes,
            } => self.filters.subscribed(packet_id, &reason_codes),
            ClientEvent::Unsubscribed { packet_id } => self.filters.unsubscribed(packet_id),
            ClientEvent::Pong => {
                if let Some(publishing) = &mut self.publishing {
                    publishing.pong();
                }
            }
            _ => {}
        }
        self.answered = Instant::now();
        self.go_on()
    }

    fn take_message(
        &mut self,
        message: &OwnedPublish,
        stamps: &StampClock,
        now: Timestamp,
        delivery: &mut Delivery,
    ) {
        let properties = message.properties.as_properties();
        let ids = properties.subscription_identifiers();
        if !self.filters.is_first_copy(&message.topic, ids) {
            return;
        }
        match arrived(message, &self.terms, stamps, now) {
            Some(Arrived::ToAllNodes(envelope)) => {
                if !self.terms.is_v5() {
                    self.expect_ordinary_copy(&envelope);
                }
                delivery.hand(envelope);
            }
            Some(Arrived::Message(envelope)) if self.terms.is_v5() || self.is_news(message) => {
                delivery.hand(envelope);
            }
            _ => {}
        }
    }

    /// Whether a message that does not say whose it is says something new. One with the retain flag is what the
    /// parent has for a filter that it was told.
    fn is_news(&mut self, message: &OwnedPublish) -> bool {
        let (topic, payload) = (&message.topic, &message.payload);
        match message.retain {
            true => self.kept.note(topic, payload),
            false => !self.echoes.take(topic, payload, Instant::now()),
        }
    }

    /// The ordinary copy of what another node has retained will come behind this one, and not say that it is one.
    fn expect_ordinary_copy(&mut self, envelope: &Envelope) {
        let is_own = envelope
            .tag
            .as_ref()
            .is_some_and(|tag| tag.node == self.terms.node);
        if let Content::Message { message, .. } = &envelope.content
            && let Some(topic) = self.terms.prefix.topic(message.topic())
            && !is_own
            && self.terms.takes_topic(&topic)
        {
            if message.retain() {
                self.kept.note(&topic, message.payload());
            }
            if self.filters.matches(&topic) {
                self.echoes
                    .expect(&topic, message.payload(), Instant::now());
            }
        }
    }

    /// The connection is lost: what is not answered fails. Returns what is known to be retained at the parent.
    pub(crate) fn fail(self, error: impl Fn() -> BackendError) -> Kept {
        if let Some(publishing) = self.publishing {
            publishing.fail(&error);
        }
        self.filters.fail(&error);
        self.kept
    }

    /// Takes leave of the parent.
    pub(crate) async fn disconnect(self) -> Result<(), ClientError> {
        self.client.disconnect().await
    }
}
