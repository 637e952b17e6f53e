//! S wildcard subscriptions of C connections; each message matches a known number of them, and must
//! be delivered exactly so often, each time to a connection that is known. Closed loop.

use std::ops::Range;

use clap::Args;
use mqtt_codec::QoS;

use crate::city::{City, Layer};
use crate::cli::{Closed, Common, Load};
use crate::closed_loop::ClosedLoop;
use crate::dial::{Login, Nobody, connect_all, leave_all};
use crate::failure::Failure;
use crate::figures::Figures;
use crate::flow::describe;
use crate::meter::{Meter, report_growth, seconds};
use crate::net::Net;
use crate::parties::{Audience, Parties};
use crate::seen::Seen;
use crate::sequences::Verdict;
use crate::stamp::Stamp;
use crate::subscriptions::{Change, Filters, Manner, change_all};

/// Deliveries under way in all, unless --window says otherwise.
const UNDER_WAY: usize = 20_000;
/// Topics are visited in steps of a prime number: neighbours in time are none in the tree.
const STRIDE: usize = 1_000_003;

/// Arguments of `wildcards`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Subscriptions in all
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..))]
    subscriptions: u32,
    /// Connections that have them
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    conns: u32,
    /// Publishers
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    pubs: u32,
    /// Subscriptions that each message matches
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=8))]
    matches: u32,
    /// Filters in one SUBSCRIBE
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    per_subscribe: u32,
    #[command(flatten)]
    load: Load,
    #[command(flatten)]
    closed: Closed,
    #[command(flatten)]
    pub common: Common,
}

/// One layer's filters, dealt out to its connections by turns.
#[derive(Debug, Clone)]
struct Share {
    layer: Layer,
    /// The subscribers of this layer.
    subscribers: Range<usize>,
}

/// All layers.
#[derive(Debug, Clone)]
struct Shares {
    city: City,
    shares: Vec<Share>,
    prefix: String,
    /// The connection of the first subscriber.
    first: usize,
}

impl Shares {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let (subscribers, layers) = (arguments.conns as usize, arguments.matches as usize);
        if subscribers < layers {
            return Err(Failure::usage("--conns must be at least --matches"));
        }
        let layers = &Layer::ALL[..layers];
        let bound = |index: usize| subscribers * index / layers.len();
        Ok(Self {
            city: City::with_filters(arguments.subscriptions as usize, layers),
            shares: layers
                .iter()
                .enumerate()
                .map(|(index, layer)| Share {
                    layer: *layer,
                    subscribers: bound(index)..bound(index + 1),
                })
                .collect(),
            prefix: arguments.common.topic_prefix.clone(),
            first: arguments.pubs as usize,
        })
    }

    fn subscriptions(&self) -> usize {
        let filters = |share: &Share| self.city.filters(share.layer);
        self.shares.iter().map(filters).sum()
    }

    fn share_of(&self, subscriber: usize) -> Option<&Share> {
        self.shares
            .iter()
            .find(|share| share.subscribers.contains(&subscriber))
    }
}

impl Filters for Shares {
    fn count(&self, id: usize) -> usize {
        let subscriber = id - self.first;
        self.share_of(subscriber).map_or(0, |share| {
            let place = subscriber - share.subscribers.start;
            (self.city.filters(share.layer) + share.subscribers.len() - 1 - place)
                / share.subscribers.len()
        })
    }

    fn filter(&self, id: usize, index: usize) -> String {
        let subscriber = id - self.first;
        self.share_of(subscriber).map_or_else(String::new, |share| {
            let place = subscriber - share.subscribers.start;
            let number = index * share.subscribers.len() + place;
            format!("{}{}", self.prefix, self.city.filter(share.layer, number))
        })
    }
}

/// Who has the filter that a message matches, in every layer; and which messages have come there.
struct Layers {
    shares: Shares,
    /// The layer of each subscriber.
    layer_of: Vec<u8>,
    /// For each publisher and layer.
    seen: Vec<Seen>,
    topics: Vec<String>,
    publishers: usize,
    misrouted: u64,
}

impl Layers {
    fn new(shares: Shares, publishers: usize, window: u32) -> Self {
        let layers = shares.shares.len();
        let layer_of = shares
            .shares
            .iter()
            .enumerate()
            .flat_map(|(layer, share)| share.subscribers.clone().map(move |_| layer as u8))
            .collect();
        let name = |topic| format!("{}{}", shares.prefix, shares.city.topic(topic));
        Self {
            topics: (0..shares.city.topics()).map(name).collect(),
            seen: (0..publishers * layers)
                .map(|_| Seen::new(window))
                .collect(),
            layer_of,
            publishers,
            shares,
            misrouted: 0,
        }
    }

    /// The topic of a message.
    #[inline]
    fn topic_of(&self, source: usize, sequence: u32) -> usize {
        let start = self.topics.len() / self.publishers * source;
        (start + sequence as usize * STRIDE) % self.topics.len()
    }

    fn seen_of(&self, source: usize) -> &[Seen] {
        let layers = self.shares.shares.len();
        &self.seen[source * layers..(source + 1) * layers]
    }
}

impl Audience for Layers {
    #[inline]
    fn take(&mut self, subscriber: usize, stamp: &Stamp, sent: u32) {
        let source = stamp.source as usize;
        let topic = self.topic_of(source, stamp.sequence);
        let Some(layer) = self.layer_of.get(subscriber).copied().map(usize::from) else {
            self.misrouted += 1;
            return;
        };
        let share = &self.shares.shares[layer];
        let filter = self.shares.city.filter_of(share.layer, topic);
        let owner = share.subscribers.start + filter % share.subscribers.len();
        if owner != subscriber {
            self.misrouted += 1;
            return;
        }
        let line = source * self.shares.shares.len() + layer;
        self.seen[line].take(stamp.sequence, sent);
    }

    #[inline]
    fn reached(&self, source: usize) -> u32 {
        let reached = self.seen_of(source).iter().map(Seen::reached);
        reached.min().unwrap_or_default()
    }

    fn verdict(&self, sent: &[u32]) -> Verdict {
        let mut verdict = Verdict {
            extra: self.misrouted,
            ..Verdict::default()
        };
        for (source, sent) in sent.iter().enumerate() {
            for seen in self.seen_of(source) {
                verdict.lost += seen.lost(*sent);
                verdict.duplicates += seen.duplicates();
                verdict.extra += seen.extra();
            }
        }
        verdict
    }

    fn deliveries_per_message(&self) -> usize {
        self.shares.shares.len()
    }

    #[inline]
    fn topic(&self, source: usize, sequence: u32) -> Option<&str> {
        self.topics
            .get(self.topic_of(source, sequence))
            .map(String::as_str)
    }
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<Figures, Failure> {
    let (common, load, closed) = (&arguments.common, &arguments.load, &arguments.closed);
    let publishers = arguments.pubs as usize;
    let all = publishers + arguments.conns as usize;
    let shares = Shares::new(arguments)?;
    let mut net = Net::new(common.addr, common.version())?;
    let meter = common.meter()?;
    let memory = meter.memory();
    let mut figures = describe("wildcards", common, load);
    figures.set("subscriptions", shares.subscriptions());
    figures.set("connections", arguments.conns);
    figures.set("publishers", publishers);
    figures.set("matches_per_msg", arguments.matches);

    let login = Login::for_connections(common, all);
    let welcome = connect_all(&mut net, &login, 0..all, &mut Nobody, None)?;
    install(&mut net, arguments, &shares, &meter, &mut figures)?;

    // What is under way to all subscribers comes from all publishers.
    let deliveries = closed.window.map_or(UNDER_WAY, |window| {
        window as usize * arguments.conns as usize
    });
    let window = (deliveries / (publishers * shares.shares.len())).max(1) as u32;
    figures.set("window", window);
    let inflight = closed.inflight.min(welcome.receive_maximum);
    if load.qos != QoS::AtMostOnce {
        figures.set("inflight", inflight);
    }
    let audience = Layers::new(shares, publishers, window);
    let topic = audience.topic(0, 0).unwrap_or_default().to_owned();
    let mut parties = Parties::new(audience, load.payload as usize)?;
    for _ in 0..publishers {
        parties.add_publisher(&mut net, &topic, load.qos, (window, inflight))?;
    }
    let mut flow = ClosedLoop::new(&mut net, parties, common, closed, window)?;
    flow.warm_up(load, closed)?;
    let measured = flow.measure(load, closed)?;
    flow.report_rates(&mut figures, "", &measured);
    flow.finish(&mut figures)?;
    flow.report_cost(&mut figures, "", &measured);
    meter.report_memory(&mut figures, memory, measured.memory());
    leave_all(&mut net, 0..all)?;
    Ok(figures)
}

fn install(
    net: &mut Net,
    arguments: &Arguments,
    shares: &Shares,
    meter: &Meter,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let subscribers = shares.first..shares.first + arguments.conns as usize;
    let manner = Manner {
        per_request: arguments.per_subscribe as usize,
        timeout: arguments.common.timeout,
    };
    let change = Change::Subscribe(arguments.load.sub_qos());
    let memory = meter.memory();
    let before = meter.read();
    change_all(net, subscribers, change, shares, manner, &mut Nobody)?;
    let after = meter.read();
    let subscriptions = shares.subscriptions();
    let wall_s = seconds(&before, &after);
    figures.number("install_s", wall_s);
    figures.number("installs_per_s", subscriptions as f64 / wall_s);
    let per = (subscriptions as u64, "sub");
    meter.report(figures, "install_", (&before, &after), per);
    let growth = (memory, meter.memory());
    report_growth(figures, "rss_per_subscription_b", growth, subscriptions);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(publishers: usize) -> Layers {
        let city = City::with_devices(50);
        let share = |layer, subscribers| Share { layer, subscribers };
        let shares = Shares {
            city,
            shares: vec![share(Layer::Device, 0..3), share(Layer::Line, 3..5)],
            prefix: String::new(),
            first: publishers,
        };
        Layers::new(shares, publishers, 64)
    }

    fn owners(layers: &Layers, source: usize, sequence: u32) -> Vec<usize> {
        let topic = layers.topic_of(source, sequence);
        let owner = |share: &Share| {
            let filter = layers.shares.city.filter_of(share.layer, topic);
            share.subscribers.start + filter % share.subscribers.len()
        };
        layers.shares.shares.iter().map(owner).collect()
    }

    #[test]
    fn every_filter_belongs_to_one_connection() {
        let layers = layers(2);
        let mut dealt = 0;
        let mut filters = std::collections::BTreeSet::new();
        for id in 2..7 {
            for index in 0..layers.shares.count(id) {
                filters.insert(layers.shares.filter(id, index));
                dealt += 1;
            }
        }
        assert_eq!(dealt, layers.shares.subscriptions());
        assert_eq!(filters.len(), dealt);
    }

    #[test]
    fn one_delivery_in_every_layer_at_its_owner_is_right() {
        let mut layers = layers(2);
        let sent = 500;
        for sequence in 0..sent {
            for source in 0..2 {
                for owner in owners(&layers, source, sequence) {
                    let stamp = Stamp {
                        sent_ns: 0,
                        source: source as u32,
                        sequence,
                    };
                    layers.take(owner, &stamp, sent);
                }
            }
        }
        assert_eq!(layers.verdict(&[sent, sent]), Verdict::default());
        assert_eq!(layers.reached(0), sent);
        assert_eq!(layers.verdict(&[sent, sent + 1]).lost, 2);
    }

    #[test]
    fn a_delivery_to_another_connection_is_extra() {
        let mut layers = layers(1);
        let stamp = Stamp {
            sent_ns: 0,
            source: 0,
            sequence: 0,
        };
        let right = owners(&layers, 0, 0);
        for subscriber in (0..6).filter(|subscriber| !right.contains(subscriber)) {
            layers.take(subscriber, &stamp, 1);
        }
        let verdict = layers.verdict(&[1]);
        assert_eq!((verdict.extra, verdict.lost), (4, 2));
        layers.take(right[0], &stamp, 1);
        layers.take(right[0], &stamp, 1);
        assert_eq!(layers.verdict(&[1]).duplicates, 1);
    }
}
