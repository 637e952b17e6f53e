//! A client is asked about again although it has sent nothing, because what clients may do has changed:
//! whether it may stay, may have its will, and may have each of its subscriptions.

use std::collections::VecDeque;
use std::sync::Arc;

use mqtt_codec::{Properties, PropertySet, QoS};

use super::asking::Question;
use super::in_steps::{STEP, Unfinished};
use super::{Connected, Context};
use crate::broker::Asked;
use crate::close::CloseCause;
use crate::events::EventSet;
use crate::hooks::{
    Event, Failed, PublishRequest, PublishVerdict, SubscribeRequest, SubscribeVerdict,
};
use crate::own_topics::Announcement;

/// How far the questions have come.
#[derive(Debug)]
pub(super) struct Reauthorization {
    stage: Stage,
    /// Filters that were not asked about yet.
    filters: VecDeque<String>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Stay,
    Will,
    Filters,
}

impl Connected {
    /// Begins, unless something else is going on; then it is asked for again when that is over. Whether it
    /// has begun.
    pub(super) fn begin_reauthorization(&mut self, context: &Context<'_>) -> bool {
        let is_busy = self
            .extras
            .as_ref()
            .is_some_and(|extras| extras.unfinished.is_some() || extras.asking.is_some());
        if is_busy {
            return false;
        }
        let filters = context.broker.filters_of(self.session.client()).into();
        self.begin_steps(Unfinished::Reauthorize(Reauthorization {
            stage: Stage::Stay,
            filters,
        }));
        true
    }

    /// One step of it. Whether all is done.
    pub(super) fn reauthorize(
        &mut self,
        questions: &mut Reauthorization,
        context: &mut Context<'_>,
    ) -> Result<bool, CloseCause> {
        let Some(wanted) = context.broker.hooked().map(|hooked| hooked.wanted) else {
            return Ok(true);
        };
        if let Stage::Stay = questions.stage {
            questions.stage = Stage::Will;
            if wanted.authenticate {
                let verdict = self.ask(
                    context,
                    |hooks, client| hooks.may_stay(client),
                    Question::Stay,
                );
                let Some(verdict) = verdict else {
                    return Ok(false);
                };
                self.decide_stay(verdict, context)?;
            }
        }
        if let Stage::Will = questions.stage {
            questions.stage = Stage::Filters;
            if wanted.authorize_publish && !self.ask_about_will(context) {
                return Ok(false);
            }
        }
        if !wanted.authorize_subscribe {
            return Ok(true);
        }
        for _ in 0..STEP {
            let Some(filter) = questions.filters.front() else {
                return Ok(true);
            };
            let verdict = self.ask_about_held(filter, context);
            let Some(verdict) = verdict else {
                return Ok(false);
            };
            self.decide_held(questions, verdict, context)?;
        }
        Ok(questions.filters.is_empty())
    }

    pub(super) fn decide_stay(
        &mut self,
        verdict: Result<bool, Failed>,
        context: &Context<'_>,
    ) -> Result<(), CloseCause> {
        let failures = u64::from(verdict.is_err());
        context.broker.counters().hook_failures.add(failures);
        match verdict {
            Ok(true) => Ok(()),
            Ok(false) | Err(Failed) => Err(CloseCause::NotAuthorized),
        }
    }

    /// False if the hook has to think.
    fn ask_about_will(&mut self, context: &mut Context<'_>) -> bool {
        let state = self.session.state();
        let will = state.is_current(self.epoch).then_some(state.will.as_ref());
        let Some(message) = will.flatten().map(|will| Arc::clone(&will.message)) else {
            return true;
        };
        drop(state);
        let verdict = self.ask(
            context,
            |hooks, client| {
                // They were decoded once.
                let kept = Properties::from_raw(message.properties(), PropertySet::FORWARDED);
                let request = PublishRequest {
                    qos: message.qos(),
                    retain: message.retain(),
                    properties: kept.unwrap_or_default(),
                    is_will: true,
                    ..PublishRequest::new(message.topic(), message.payload())
                };
                hooks.authorize_publish(client, &request)
            },
            Question::Will,
        );
        let Some(verdict) = verdict else {
            return false;
        };
        self.decide_will(verdict, context);
        true
    }

    pub(super) fn decide_will(
        &mut self,
        verdict: Result<PublishVerdict, Failed>,
        context: &mut Context<'_>,
    ) {
        let counters = context.broker.counters();
        match verdict {
            // What it is to say was decided when it came.
            Ok(PublishVerdict::Allow | PublishVerdict::Replace(_)) => return,
            Ok(PublishVerdict::Ignore) => {}
            Ok(PublishVerdict::Deny(_) | PublishVerdict::Disconnect) => {
                counters.denied_publishes.add(1);
            }
            Err(Failed) => counters.hook_failures.add(1),
        }
        let mut state = self.session.state();
        if state.is_current(self.epoch) {
            let broker = context.broker;
            broker.drop_will(&self.session, &mut state, context.effects);
        }
    }

    fn ask_about_held(
        &mut self,
        filter: &str,
        context: &Context<'_>,
    ) -> Option<Result<SubscribeVerdict, Failed>> {
        let request = SubscribeRequest {
            qos: QoS::ExactlyOnce,
            is_held: true,
            ..SubscribeRequest::new(filter)
        };
        self.ask(
            context,
            |hooks, client| hooks.authorize_subscribe(client, &request),
            Question::Subscribe,
        )
    }

    /// The hook has decided on the first filter.
    pub(super) fn decide_held(
        &mut self,
        questions: &mut Reauthorization,
        verdict: Result<SubscribeVerdict, Failed>,
        context: &mut Context<'_>,
    ) -> Result<(), CloseCause> {
        let Some(filter) = questions.filters.pop_front() else {
            return Ok(());
        };
        let counters = context.broker.counters();
        match verdict {
            Ok(SubscribeVerdict::Allow | SubscribeVerdict::AllowAt(_)) => return Ok(()),
            Ok(SubscribeVerdict::Deny(_)) => counters.denied_subscriptions.add(1),
            Ok(SubscribeVerdict::Disconnect) => {
                counters.denied_subscriptions.add(1);
                return Err(CloseCause::NotAuthorized);
            }
            Err(Failed) => counters.hook_failures.add(1),
        }
        self.lose_filter(&filter, context);
        Ok(())
    }

    /// Takes a subscription away that the client may not have any more.
    pub(super) fn lose_filter(&mut self, filter: &str, context: &mut Context<'_>) {
        let batch = &mut context.effects.batch;
        let asked = context
            .broker
            .unsubscribe(&self.session, self.epoch, filter, batch);
        let left = match asked {
            None => return,
            Some(Asked::Shared(_)) => [filter].into_iter().collect(),
            Some(Asked::Own(_)) => hashbrown::HashSet::new(),
        };
        context
            .broker
            .hand_over_unsent(context.now, &self.session, left, context.effects);
        context.announce(Announcement::Unsubscribed(self.session.client(), filter));
        if let Some(client) = &self.noticed(context.broker, EventSet::UNSUBSCRIBED) {
            self.notify(&Event::Unsubscribed { client, filter }, context);
        }
    }
}
