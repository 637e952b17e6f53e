//! What hooks are thinking about on a live connection. Until they have come to an end no further packet of
//! this client is handled, and everybody else goes on.

use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};
use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_codec::OwnedPublish;
use topic_trie::TopicName;

use super::publish::Acknowledgement;
use super::{Connected, Context};
use crate::broker::Broker;
use crate::close::CloseCause;
use crate::effects::Effects;
use crate::events::EventSet;
use crate::hooks::{
    Answer, Client, Event, Failed, Guarded, Hooks, PublishVerdict, SubscribeVerdict,
};
use crate::session::Hold;
use crate::{Timestamp, Verdict};

/// A question, or what has to be done before the next packet, or both one after the other.
#[derive(Debug)]
pub(super) struct Asking {
    /// Until when it may last.
    pub(super) until: Timestamp,
    question: Option<Question>,
    notices: VecDeque<Guarded<()>>,
    /// What goes out behind the notices.
    acknowledgement: Option<Acknowledgement>,
}

/// What has been asked.
#[derive(Debug)]
pub(super) enum Question {
    Publish(Box<OwnedPublish>, Guarded<PublishVerdict>),
    /// About the filter whose turn it is.
    Subscribe(Guarded<SubscribeVerdict>),
    Stay(Guarded<bool>),
    Will(Guarded<PublishVerdict>),
}

/// What was answered.
enum Heard {
    Publish(Box<OwnedPublish>, Result<PublishVerdict, Failed>),
    Subscribe(Result<SubscribeVerdict, Failed>),
    Stay(Result<bool, Failed>),
    Will(Result<PublishVerdict, Failed>),
    /// A notice is done, and with the last one an acknowledgement may be due.
    Notice(Result<(), Failed>, Option<Acknowledgement>),
}

impl Asking {
    fn new(until: Timestamp) -> Self {
        Self {
            until,
            question: None,
            notices: VecDeque::new(),
            acknowledgement: None,
        }
    }

    fn poll(&mut self, task: &mut TaskContext<'_>) -> Poll<Heard> {
        fn polled<T>(
            future: &mut Guarded<T>,
            task: &mut TaskContext<'_>,
        ) -> Poll<Result<T, Failed>> {
            Future::poll(Pin::new(future), task)
        }
        let ready = match &mut self.question {
            Some(Question::Publish(publish, future)) => {
                let verdict = core::task::ready!(polled(future, task));
                Heard::Publish(publish.clone(), verdict)
            }
            Some(Question::Subscribe(future)) => {
                Heard::Subscribe(core::task::ready!(polled(future, task)))
            }
            Some(Question::Stay(future)) => Heard::Stay(core::task::ready!(polled(future, task))),
            Some(Question::Will(future)) => Heard::Will(core::task::ready!(polled(future, task))),
            None => {
                let result = match self.notices.front_mut() {
                    Some(notice) => core::task::ready!(polled(notice, task)),
                    None => Ok(()),
                };
                self.notices.pop_front();
                let is_last = self.notices.is_empty();
                let due = self.acknowledgement.take_if(|_| is_last);
                return Poll::Ready(Heard::Notice(result, due));
            }
        };
        self.question = None;
        Poll::Ready(ready)
    }

    /// Time is up.
    fn give_up(&mut self) -> Heard {
        match self.question.take() {
            Some(Question::Publish(publish, _)) => Heard::Publish(publish, Err(Failed)),
            Some(Question::Subscribe(_)) => Heard::Subscribe(Err(Failed)),
            Some(Question::Stay(_)) => Heard::Stay(Err(Failed)),
            Some(Question::Will(_)) => Heard::Will(Err(Failed)),
            None => {
                self.notices.clear();
                Heard::Notice(Err(Failed), self.acknowledgement.take())
            }
        }
    }

    fn is_over(&self) -> bool {
        self.question.is_none() && self.notices.is_empty()
    }
}

impl Connected {
    /// The client as hooks see it, if there are any.
    pub(super) fn client(&self) -> Option<&Arc<Client>> {
        self.extras.as_ref()?.client.as_ref()
    }

    /// What hooks are thinking about.
    pub(super) fn asking(&self) -> Option<&Asking> {
        self.extras.as_ref()?.asking.as_deref()
    }

    fn asking_mut(&mut self) -> Option<&mut Asking> {
        self.extras.as_mut()?.asking.as_deref_mut()
    }

    /// Asks a hook, of which it is known that it is wanted. `None` if it has to think:
    /// `question` says what has to be kept for then.
    pub(super) fn ask<T>(
        &mut self,
        context: &Context<'_>,
        call: impl FnOnce(&dyn Hooks, &Arc<Client>) -> Verdict<T>,
        question: impl FnOnce(Guarded<T>) -> Question,
    ) -> Option<Result<T, Failed>> {
        let (Some(hooked), Some(client)) = (context.broker.hooked(), self.client()) else {
            return Some(Err(Failed));
        };
        match hooked.ask(|hooks| call(hooks, client)) {
            Answer::Ready(verdict) => Some(verdict),
            Answer::Pending(future) => {
                self.begin_asking(context).question = Some(question(future));
                None
            }
        }
    }

    /// The client, if hooks or watchers hear of any of these kinds of events.
    #[inline]
    pub(super) fn noticed(&mut self, broker: &Broker, kinds: EventSet) -> Option<Arc<Client>> {
        let is_noticed = broker.watchers.or_hooks_notice(kinds);
        is_noticed.then(|| self.named())
    }

    /// The client as events name it.
    #[cold]
    fn named(&mut self) -> Arc<Client> {
        if let Some(client) = self.client() {
            return Arc::clone(client);
        }
        let state = self.session.state();
        let own = state.link.as_ref().filter(|_| state.epoch == self.epoch);
        let client = match own {
            Some(link) => link.client(&self.session),
            None => Arc::new(Client::new(Arc::clone(self.session.client()), self.version)),
        };
        drop(state);
        self.extras.get_or_insert_default().client = Some(Arc::clone(&client));
        client
    }

    /// Tells watchers and hooks of something, if they want to know. What hooks have to do first holds up the
    /// next packet.
    pub(super) fn notify(&mut self, event: &Event<'_>, context: &mut Context<'_>) {
        let broker = context.broker;
        broker.tell_watchers(event, context.effects);
        match broker.tell_hooks(event) {
            Answer::Ready(Ok(())) => {}
            Answer::Ready(Err(Failed)) => broker.counters().hook_failures.add(1),
            Answer::Pending(future) => self.begin_asking(context).notices.push_back(future),
        }
    }

    /// Gives an acknowledgement out, or keeps it until hooks have done what they have to do first.
    /// Whether it was kept.
    pub(super) fn keep_acknowledgement(&mut self, acknowledgement: Acknowledgement) -> bool {
        let Some(asking) = self.asking_mut() else {
            return false;
        };
        asking.acknowledgement = Some(acknowledgement);
        true
    }

    fn begin_asking(&mut self, context: &Context<'_>) -> &mut Asking {
        let until = context.now + context.broker.options().hook_timeout;
        self.hold_keep_alive(Hold::Hooks, true);
        let extras = self.extras.get_or_insert_default();
        let asking = extras
            .asking
            .get_or_insert_with(|| Box::new(Asking::new(until)));
        asking.until = until;
        asking
    }

    /// The connection ends: watchers and hooks hear of it, and nobody waits for what they do then.
    pub(super) fn notify_end(&mut self, broker: &Broker, cause: CloseCause, effects: &mut Effects) {
        if let Some(client) = &self.noticed(broker, EventSet::DISCONNECTED) {
            broker.notify(&Event::Disconnected { client, cause }, effects);
        }
    }

    /// Begins to ask about the client anew, as the broker wants it, unless something else is going on.
    pub(super) fn start_reauthorization(
        &mut self,
        broker: &Arc<Broker>,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let context = self.context(broker, now, effects);
        if self.begin_reauthorization(&context)
            && let Some(link) = &mut self.session.state().link
        {
            link.reauthorize = false;
        }
    }

    /// Goes on with what hooks have come to, if they have.
    pub(super) fn poll_asking(
        &mut self,
        task: &mut TaskContext<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), CloseCause>> {
        let Some(asking) = self.asking_mut() else {
            return Poll::Ready(Ok(()));
        };
        let heard = core::task::ready!(asking.poll(task));
        Poll::Ready(self.go_on_after(heard, context))
    }

    /// Hooks have taken too long.
    pub(super) fn give_up_asking(&mut self, context: &mut Context<'_>) -> Result<(), CloseCause> {
        match self.asking_mut().map(Asking::give_up) {
            Some(heard) => self.go_on_after(heard, context),
            None => Ok(()),
        }
    }

    fn go_on_after(&mut self, heard: Heard, context: &mut Context<'_>) -> Result<(), CloseCause> {
        if self.asking().is_some_and(Asking::is_over) {
            self.extras.get_or_insert_default().asking = None;
            self.hold_keep_alive(Hold::Hooks, false);
            self.session.hear(context.now);
        }
        match heard {
            Heard::Publish(publish, verdict) => {
                let publish = publish.as_publish();
                match TopicName::new(publish.topic) {
                    Ok(topic) => self.decide_publish(verdict, topic, &publish, context),
                    // It was one when it was asked about.
                    Err(_) => Ok(()),
                }
            }
            Heard::Subscribe(verdict) => self.go_on_in_steps(verdict, context),
            Heard::Stay(verdict) => self.decide_stay(verdict, context),
            Heard::Will(verdict) => {
                self.decide_will(verdict, context);
                Ok(())
            }
            Heard::Notice(result, acknowledgement) => {
                let failures = u64::from(result.is_err());
                context.broker.counters().hook_failures.add(failures);
                if let Some(acknowledgement) = acknowledgement {
                    self.put_acknowledgement(acknowledgement, context);
                }
                Ok(())
            }
        }
    }
}
