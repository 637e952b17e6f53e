//! The topic filters that the parent has of the node, and those that it is just being told of.

use std::collections::{HashMap, VecDeque};

use broker_core::Quoted;
use broker_core::backend::BackendError;
use mqtt_client::{
    Client, ClientError, PacketId, QoS, ReasonCode, Subscription, SubscriptionOptions,
};
use tokio::sync::oneshot;
use topic_trie::{FilterTrie, TopicFilterBuf, TopicName};

use crate::session::OUTPUT_MAX;
use crate::terms::Terms;

/// SUBSCRIBE and UNSUBSCRIBE that are under way at a time.
const UNDER_WAY_MAX: usize = 100;

/// Filters of one of them, where it may have several.
const FILTERS_MAX: usize = 50;

/// Bytes of these filters, unless one has more.
const FILTERS_BYTES_MAX: usize = 8 << 10;

/// What SUBSCRIBE and UNSUBSCRIBE have beside their filters, at most.
const OVERHEAD_BYTES: usize = 32;

/// The largest subscription identifier.
const ID_MAX: u32 = 268_435_455;

/// Subscribing or unsubscribing, as the node has asked.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) subscribes: bool,
    pub(crate) filters: Vec<TopicFilterBuf>,
    pub(crate) answer: oneshot::Sender<Result<(), BackendError>>,
}

/// What the parent has, by its own names of topics, with the identifiers of subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    known: FilterTrie<(), Option<u32>>,
    last_id: u32,
    changing: Option<Changing>,
}

/// A request that is not answered yet.
#[derive(Debug)]
struct Changing {
    request: Request,
    /// What the parent is still to be told of.
    left: VecDeque<TopicFilterBuf>,
    under_way: HashMap<PacketId, Vec<TopicFilterBuf>>,
    refused: Option<Refusal>,
}

#[derive(Debug)]
struct Refusal {
    filter: String,
    why: &'static str,
}

impl Filters {
    /// Whether a request is not answered yet; there is one at a time.
    pub(crate) fn is_changing(&self) -> bool {
        self.changing.is_some()
    }

    /// Whether the parent is to answer something.
    pub(crate) fn awaits(&self) -> bool {
        self.changing
            .as_ref()
            .is_some_and(|it| !it.under_way.is_empty())
    }

    /// Begins with a request.
    pub(crate) fn begin(&mut self, mut request: Request, terms: &Terms) {
        let filters = std::mem::take(&mut request.filters);
        let mut changing = Changing {
            left: VecDeque::with_capacity(filters.len()),
            under_way: HashMap::new(),
            refused: None,
            request,
        };
        for filter in &filters {
            let there = terms.prefix.filter(filter.as_filter());
            let taken = there.filter(|it| {
                let text = it.as_str();
                terms.takes_filter(text) && terms.allows_bytes(text.len() + OVERHEAD_BYTES)
            });
            match taken {
                Some(there) => changing.left.push_back(there),
                // What it matches comes by the control topic, if at all.
                None if terms.control.is_some() || !changing.request.subscribes => {}
                None => changing.note_refusal(filter.as_str(), "not one that the parent takes"),
            }
        }
        self.changing = Some(changing);
    }

    /// Tells the parent as much as may be under way; answers when all is said.
    pub(crate) fn go_on(&mut self, client: &mut Client, terms: &Terms) -> Result<(), ClientError> {
        let Some(mut changing) = self.changing.take() else {
            return Ok(());
        };
        while changing.under_way.len() < UNDER_WAY_MAX && client.queued_bytes() < OUTPUT_MAX {
            let some = self.next_filters(&mut changing, terms);
            if some.is_empty() {
                break;
            }
            let id = match changing.request.subscribes {
                true => self.queue_subscribe(&some, client, terms)?,
                false => {
                    let filters: Vec<_> = some.iter().map(TopicFilterBuf::as_str).collect();
                    client.queue_unsubscribe(&filters)?
                }
            };
            changing.under_way.insert(id, some);
        }
        match changing.is_over() {
            true => changing.answer(),
            false => self.changing = Some(changing),
        }
        Ok(())
    }

    /// Those that come next into one packet, and are noted as told.
    fn next_filters(&mut self, changing: &mut Changing, terms: &Terms) -> Vec<TopicFilterBuf> {
        let subscribes = changing.request.subscribes;
        let has_ids = subscribes && terms.limits.subscription_identifiers_available;
        let filters_max = if has_ids { 1 } else { FILTERS_MAX };
        let (mut some, mut bytes) = (Vec::new(), 0);
        while some.len() < filters_max
            && let Some(filter) = changing.left.pop_front()
        {
            let text = filter.as_str();
            let is_known = self.known.get(filter.as_filter(), &()).is_some();
            if is_known == subscribes {
                continue;
            }
            if !some.is_empty() && bytes + text.len() > FILTERS_BYTES_MAX {
                changing.left.push_front(filter);
                break;
            }
            bytes += text.len();
            if subscribes {
                let id = (has_ids && self.last_id < ID_MAX).then(|| self.last_id + 1);
                self.last_id = id.unwrap_or(self.last_id);
                self.known.insert(filter.as_filter(), (), id);
            } else {
                self.known.remove(filter.as_filter(), &());
                if terms.is_control(text) {
                    continue;
                }
            }
            some.push(filter);
        }
        some
    }

    fn queue_subscribe(
        &self,
        filters: &[TopicFilterBuf],
        client: &mut Client,
        terms: &Terms,
    ) -> Result<PacketId, ClientError> {
        let subscriptions = filters.iter().map(|filter| Subscription {
            filter: filter.as_str().to_owned(),
            options: options(QoS::ExactlyOnce, terms.is_v5()),
        });
        let subscriptions: Vec<_> = subscriptions.collect();
        let id = match filters {
            [one] => self.known.get(one.as_filter(), &()).copied().flatten(),
            _ => None,
        };
        client.queue_subscribe(&subscriptions, id)
    }

    /// The parent has answered SUBSCRIBE. What it refuses it has not.
    pub(crate) fn subscribed(&mut self, id: PacketId, reason_codes: &[ReasonCode]) {
        let Some(changing) = &mut self.changing else {
            return;
        };
        let filters = changing.under_way.remove(&id).unwrap_or_default();
        let codes = reason_codes.iter().copied().map(Some);
        for (filter, code) in filters.iter().zip(codes.chain(std::iter::repeat(None))) {
            let why = match code {
                Some(code) if !code.is_error() => continue,
                Some(code) => code.as_str(),
                None => "not answered",
            };
            self.known.remove(filter.as_filter(), &());
            changing.note_refusal(filter.as_str(), why);
        }
    }

    /// The parent has answered UNSUBSCRIBE.
    pub(crate) fn unsubscribed(&mut self, id: PacketId) {
        if let Some(changing) = &mut self.changing {
            changing.under_way.remove(&id);
        }
    }

    /// The connection is lost: nobody knows what became of the request.
    pub(crate) fn fail(self, error: impl Fn() -> BackendError) {
        if let Some(changing) = self.changing {
            let _gone = changing.request.answer.send(Err(error()));
        }
    }

    /// Whether one of the filters matches.
    pub(crate) fn matches(&self, topic: &str) -> bool {
        let mut found = false;
        if let Ok(topic) = TopicName::new(topic) {
            self.known.matches(topic, |(), _| found = true);
        }
        found
    }

    /// Whether this copy of a message is the one to take, of those that a parent may send for each filter that
    /// matches: the one for the first of them, as far as copies say for which they are.
    pub(crate) fn is_first_copy(&self, topic: &str, ids: impl Iterator<Item = u32>) -> bool {
        let mut ids = ids.peekable();
        if ids.peek().is_none() {
            return true;
        }
        let mut first = None;
        if let Ok(topic) = TopicName::new(topic) {
            self.known.matches(topic, |(), id| {
                first = [first, *id].into_iter().flatten().min();
            });
        }
        ids.any(|id| first == Some(id))
    }
}

impl Changing {
    /// The first one is told.
    fn note_refusal(&mut self, filter: &str, why: &'static str) {
        self.refused.get_or_insert_with(|| Refusal {
            filter: filter.to_owned(),
            why,
        });
    }

    fn is_over(&self) -> bool {
        self.left.is_empty() && self.under_way.is_empty()
    }

    fn answer(self) {
        let answer = self.refused.map_or(Ok(()), |Refusal { filter, why }| {
            let text = format!("the topic filter {}: {why}", Quoted(&filter));
            Err(BackendError::Refused(text.into()))
        });
        let _gone = self.request.answer.send(answer);
    }
}

/// What a node subscribes with: to everything, but for its own messages, and with the retain flag as it was.
pub(crate) fn options(qos: QoS, is_v5: bool) -> SubscriptionOptions {
    SubscriptionOptions {
        no_local: is_v5,
        retain_as_published: is_v5,
        ..SubscriptionOptions::new(qos)
    }
}

#[cfg(test)]
mod tests {
    use topic_trie::TopicFilter;

    use super::*;

    #[test]
    fn of_copies_for_each_filter_one_is_taken() {
        let mut filters = Filters::default();
        for (text, id) in [
            ("a/#", Some(1)),
            ("a/+", Some(2)),
            ("#", Some(3)),
            ("b", None),
        ] {
            let filter = TopicFilter::new(text).unwrap();
            filters.known.insert(filter, (), id);
        }
        let taken = |topic, ids: &[u32]| filters.is_first_copy(topic, ids.iter().copied());
        assert!(taken("a/b", &[1]) && !taken("a/b", &[2]) && !taken("a/b", &[3]));
        assert!(taken("a/b", &[3, 2, 1]) && !taken("a/b", &[3, 2]));
        assert!(taken("c", &[3]) && taken("b", &[3]));
        // A parent that does not say, and filters that have gone meanwhile.
        assert!(taken("a/b", &[]) && !taken("a/b", &[9]));
    }
}
