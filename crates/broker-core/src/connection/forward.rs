//! Asks hooks about what is about to be sent to the client, one message after the other. While they
//! think, what comes behind it waits and everything else goes on.

use core::pin::Pin;
use core::task::{Context as TaskContext, Poll, Waker};
use std::sync::Arc;

use topic_trie::TopicName;

use super::{Connected, Connection, Phase};
use crate::Timestamp;
use crate::broker::Broker;
use crate::effects::Effects;
use crate::hooks::{Answer, Failed, ForwardRequest, ForwardVerdict, Guarded, Hooked};
use crate::session::{Candidate, Decision, Rules, State};

/// Verdicts heard in one go; others run before the next.
const VERDICTS_MAX: usize = 256;

/// A message that hooks think about.
#[derive(Debug)]
pub(super) struct Forwarding {
    candidate: Candidate,
    future: Guarded<ForwardVerdict>,
    until: Timestamp,
}

type Verdict = Result<ForwardVerdict, Failed>;

impl Connection {
    /// What hooks were asked about is not sent if they have thought for too long.
    pub(super) fn give_up_forwarding(&mut self, now: Timestamp, effects: &mut Effects) {
        if let Phase::Connected(connected) = &mut self.phase
            && connected
                .forwarding_until()
                .is_some_and(|until| until <= now)
            && let Some(forwarding) = connected.take_forwarding()
        {
            let candidate = &forwarding.candidate;
            connected.hear(candidate, Err(Failed), &self.broker, now, effects);
        }
    }
}

impl Connected {
    /// Until when hooks may think about what is about to be sent.
    pub(super) fn forwarding_until(&self) -> Option<Timestamp> {
        let forwarding = self.extras.as_ref()?.forwarding.as_ref();
        forwarding.map(|forwarding| forwarding.until)
    }

    fn take_forwarding(&mut self) -> Option<Box<Forwarding>> {
        self.extras.as_mut()?.forwarding.take()
    }

    /// Asks about what is about to be sent, until hooks have to think or the outbox is full. `waker`
    /// is woken when they have thought.
    #[cold]
    #[inline(never)]
    pub(super) fn forward(
        &mut self,
        broker: &Arc<Broker>,
        now: Timestamp,
        waker: &Waker,
        effects: &mut Effects,
    ) {
        let Some(hooked) = broker.hooked() else {
            return;
        };
        for _ in 0..VERDICTS_MAX {
            let Some(mut forwarding) = self.take_forwarding() else {
                let Some(candidate) = self.next_to_ask(broker, now, effects) else {
                    return;
                };
                match self.ask_about(&candidate, hooked) {
                    Answer::Ready(verdict) => self.hear(&candidate, verdict, broker, now, effects),
                    Answer::Pending(future) => {
                        let until = now + broker.options().hook_timeout;
                        self.keep_forwarding(Box::new(Forwarding {
                            candidate,
                            future,
                            until,
                        }));
                    }
                }
                continue;
            };
            if !self.is_undecided(&forwarding.candidate) {
                // It has gone to another member of its shared subscription, say.
                continue;
            }
            let mut task = TaskContext::from_waker(waker);
            match Future::poll(Pin::new(&mut forwarding.future), &mut task) {
                Poll::Ready(verdict) => {
                    self.hear(&forwarding.candidate, verdict, broker, now, effects);
                }
                Poll::Pending => {
                    self.keep_forwarding(forwarding);
                    return;
                }
            }
        }
        waker.wake_by_ref();
    }

    /// Goes on soon if something has come since the last look that is to be asked about.
    #[cold]
    #[inline(never)]
    pub(super) fn look_again(
        &self,
        state: &mut State,
        rules: Rules<'_>,
        waker: &Waker,
        effects: &mut Effects,
    ) {
        let is_asked = self.forwarding_until().is_some();
        if !is_asked && self.session.next_to_ask(state, rules, effects).is_some() {
            waker.wake_by_ref();
        }
    }

    fn keep_forwarding(&mut self, forwarding: Box<Forwarding>) {
        self.extras.get_or_insert_default().forwarding = Some(forwarding);
    }

    fn next_to_ask(
        &self,
        broker: &Broker,
        now: Timestamp,
        effects: &mut Effects,
    ) -> Option<Candidate> {
        let mut state = self.session.state();
        if !state.is_current(self.epoch) {
            return None;
        }
        self.session
            .next_to_ask(&mut state, broker.rules(now), effects)
    }

    fn is_undecided(&self, candidate: &Candidate) -> bool {
        let mut state = self.session.state();
        state.is_current(self.epoch) && state.is_undecided(candidate.place)
    }

    /// No lock is held meanwhile: this is somebody else's code.
    fn ask_about(&self, candidate: &Candidate, hooked: &Hooked) -> Answer<ForwardVerdict> {
        let Some(client) = self.client() else {
            return Answer::Ready(Err(Failed));
        };
        let request = ForwardRequest {
            message: &candidate.message,
            qos: candidate.qos,
            retain: candidate.retain,
        };
        hooked.ask(|hooks| hooks.authorize_forward(client, &request))
    }

    /// Hooks have come to this.
    fn hear(
        &self,
        candidate: &Candidate,
        verdict: Verdict,
        broker: &Broker,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let is_topic = |message: &crate::Message| TopicName::new(message.topic()).is_ok();
        let counters = broker.counters();
        let (decision, denied) = match verdict {
            Ok(ForwardVerdict::Allow) => (Decision::Send(None), 0),
            Ok(ForwardVerdict::Replace(message)) if is_topic(&message) => {
                (Decision::Send(Some(message)), 0)
            }
            Ok(ForwardVerdict::Deny) => (Decision::Drop, 1),
            Ok(ForwardVerdict::Replace(_)) | Err(Failed) => {
                counters.hook_failures.add(1);
                (Decision::Drop, 0)
            }
        };
        let rules = broker.rules(now);
        let mut state = self.session.state();
        if state.is_current(self.epoch)
            && self
                .session
                .decide(&mut state, candidate.place, decision, rules, effects)
        {
            counters.denied_forwards.add(denied);
        }
    }
}
