//! The closed loop: publishers go on as soon as they may, which is when what they have sent was
//! received. So queues stay bounded, brokers are kept out of the situation in which they may drop, and
//! what is lost nevertheless fails the run.

use std::time::Duration;

use crate::cli::{Closed, Common, Load};
use crate::dial::Patience;
use crate::failure::Failure;
use crate::figures::Figures;
use crate::meter::{Meter, Reading, seconds};
use crate::nap::Nap;
use crate::net::Net;
use crate::parties::{Audience, Parties};
use crate::process::Memory;

/// When nothing has come for so long, what is outstanding counts as lost and the window opens again.
const STALL: Duration = Duration::from_secs(2);
/// The longest wait for events; the clock is looked at that often.
const WAIT: Duration = Duration::from_millis(20);
/// How long to look for deliveries too many when everything is there.
const AFTERMATH: Duration = Duration::from_millis(50);

/// A flow that keeps going.
pub struct ClosedLoop<'a, A> {
    pub net: &'a mut Net,
    pub parties: Parties<A>,
    meter: Meter,
    common: &'a Common,
    nap: Nap,
    /// Messages of one publisher that are sent and not yet delivered to all.
    window: u32,
    /// What was sent before counts as delivered.
    floor: Vec<u32>,
    /// No publisher sends more than this.
    limit: u32,
    stalls: u64,
    silence: Patience,
}

/// The measured part.
pub struct Measured {
    before: Reading,
    after: Reading,
    published: u64,
    delivered: u64,
    memory: Option<Memory>,
}

impl Measured {
    /// Deliveries per second.
    pub fn msgs_per_s(&self) -> f64 {
        self.delivered as f64 / seconds(&self.before, &self.after)
    }

    /// The memory at its end.
    pub fn memory(&self) -> Option<Memory> {
        self.memory
    }
}

impl<'a, A: Audience> ClosedLoop<'a, A> {
    /// A flow whose clients are connected and subscribed.
    pub fn new(
        net: &'a mut Net,
        parties: Parties<A>,
        common: &'a Common,
        closed: &Closed,
        window: u32,
    ) -> Result<Self, Failure> {
        Ok(Self {
            floor: vec![0; parties.publishers.len()],
            silence: Patience::new(STALL, net.now_ns()),
            net,
            parties,
            meter: common.meter()?,
            common,
            nap: Nap::new(closed.coalesce_us),
            window: window.max(1),
            limit: u32::MAX,
            stalls: 0,
        })
    }

    /// Load without measuring.
    pub fn warm_up(&mut self, load: &Load, closed: &Closed) -> Result<(), Failure> {
        if load.warmup.is_zero() {
            return Ok(());
        }
        let end_ns = self.net.now_ns() + load.warmup.as_nanos() as u64;
        self.run_until(|flow| flow.net.now_ns() >= end_ns)?;
        if closed.messages.is_some() {
            self.drain()?;
        }
        Ok(())
    }

    /// Measures a time, or a number of messages.
    pub fn measure(&mut self, load: &Load, closed: &Closed) -> Result<Measured, Failure> {
        self.parties.latency.clear();
        let published = self.parties.published();
        let delivered = self.parties.delivered;
        let before = self.meter.read();
        match closed.messages {
            None => {
                let end_ns = self.net.now_ns() + load.seconds.as_nanos() as u64;
                self.run_until(|flow| flow.net.now_ns() >= end_ns)?;
            }
            Some(messages) => self.run_messages(messages)?,
        }
        let after = self.meter.read();
        Ok(Measured {
            before,
            after,
            published: self.parties.published() - published,
            delivered: self.parties.delivered - delivered,
            memory: self.meter.memory(),
        })
    }

    /// Publishes so many messages in all and waits until they are there.
    fn run_messages(&mut self, messages: u32) -> Result<(), Failure> {
        let sent = self.parties.sent().into_iter().max().unwrap_or_default();
        // A warm-up leaves publishers at different numbers: each gets the same limit.
        let missing: u64 = self
            .parties
            .sent()
            .iter()
            .map(|before| u64::from(sent - before))
            .sum();
        let rest = u64::from(messages).saturating_sub(missing);
        let each = rest.div_ceil(self.parties.publishers.len().max(1) as u64);
        self.limit = sent.saturating_add(u32::try_from(each).unwrap_or(u32::MAX));
        let quiet = self.common.quiet;
        let mut patience = Patience::new(quiet, self.net.now_ns());
        self.run_until(|flow| {
            let progress = flow.progress();
            let sent_all = flow.parties.sent().iter().all(|sent| *sent >= flow.limit);
            (sent_all && flow.parties.is_complete())
                || patience.silence(flow.net.now_ns(), progress) >= quiet
        })
    }

    fn progress(&self) -> u64 {
        self.parties.delivered + self.parties.acknowledged
    }

    fn run_until(&mut self, mut is_over: impl FnMut(&Self) -> bool) -> Result<(), Failure> {
        self.pump()?;
        while !is_over(self) {
            self.nap.take();
            self.net.turn(WAIT, &mut self.parties)?;
            self.look_for_stall()?;
            self.pump()?;
            self.adapt_nap();
        }
        Ok(())
    }

    /// Lets every publisher send what it may.
    fn pump(&mut self) -> Result<(), Failure> {
        let now_ns = self.net.now_ns();
        for source in 0..self.parties.publishers.len() {
            let publisher = &self.parties.publishers[source];
            let reached = self
                .parties
                .audience
                .reached(source)
                .max(self.floor[source]);
            let end = reached.saturating_add(self.window).min(self.limit);
            let room = end.saturating_sub(publisher.sent) as usize;
            // Few large writes rather than many small ones.
            let is_crumb = room < self.window as usize / 8 && end != self.limit;
            let room = room.min(publisher.room());
            if room > 0 && !is_crumb {
                self.parties.publish(self.net, source, room, |_| now_ns)?;
            }
        }
        Ok(())
    }

    fn look_for_stall(&mut self) -> Result<(), Failure> {
        let progress = self.progress();
        let now_ns = self.net.now_ns();
        let silence = self.silence.silence(now_ns, progress);
        if silence < STALL {
            return Ok(());
        }
        if silence > self.common.timeout && self.parties.unacknowledged() > 0 {
            return Err(Failure::broken("publishes are not acknowledged"));
        }
        let sent = self.parties.sent();
        if self.floor != sent {
            self.stalls += 1;
            self.floor = sent;
        }
        Ok(())
    }

    fn adapt_nap(&mut self) {
        let per_message = self.parties.audience.deliveries_per_message() as u64;
        let delivered = self.parties.delivered;
        let parties = &self.parties;
        self.nap.adapt(self.net.now_ns(), delivered, || {
            let under_way = |(source, publisher): (usize, &crate::parties::Publisher)| {
                let reached = parties.audience.reached(source);
                u64::from(publisher.sent.saturating_sub(reached)) * per_message
            };
            parties.publishers.iter().enumerate().map(under_way).sum()
        });
    }

    /// Sends nothing more, and waits for what is under way.
    pub fn drain(&mut self) -> Result<(), Failure> {
        self.limit = 0;
        let begin_ns = self.net.now_ns();
        let mut patience = Patience::new(self.common.quiet, begin_ns);
        while !self.parties.is_complete() {
            self.net.turn(WAIT, &mut self.parties)?;
            let now_ns = self.net.now_ns();
            let progress = self.progress();
            if patience.silence(now_ns, progress) >= self.common.quiet
                || Duration::from_nanos(now_ns - begin_ns) >= self.common.drain_limit
            {
                break;
            }
        }
        self.limit = u32::MAX;
        Ok(())
    }

    /// Drains, and adds what was found wrong to the figures.
    pub fn finish(&mut self, figures: &mut Figures) -> Result<(), Failure> {
        self.drain()?;
        let end_ns = self.net.now_ns() + AFTERMATH.as_nanos() as u64;
        while self.net.now_ns() < end_ns {
            self.net.turn(AFTERMATH, &mut self.parties)?;
        }
        report_checks(&self.parties, figures, Loss::Fails);
        figures.set("stalls", self.stalls);
        Ok(())
    }

    /// Adds the rates and latencies of the measured part.
    pub fn report_rates(&mut self, figures: &mut Figures, prefix: &str, measured: &Measured) {
        let wall_s = seconds(&measured.before, &measured.after);
        figures.number(&format!("{prefix}seconds"), wall_s);
        let published = measured.published as f64 / wall_s;
        figures.number(&format!("{prefix}published_per_s"), published);
        figures.number(&format!("{prefix}msgs_per_s"), measured.msgs_per_s());
        self.parties.latency.report(figures, prefix);
    }

    /// Adds what the measured part cost.
    pub fn report_cost(&self, figures: &mut Figures, prefix: &str, measured: &Measured) {
        let between = (&measured.before, &measured.after);
        let per = (measured.delivered, "msg");
        self.meter.report(figures, prefix, between, per);
    }
}

/// Whether messages may be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    Fails,
    /// It is counted, and no error.
    Counts,
}

/// Adds the counts and the checks that failed.
pub fn report_checks<A: Audience>(parties: &Parties<A>, figures: &mut Figures, loss: Loss) {
    let verdict = parties.verdict();
    figures.set("sent", parties.published());
    figures.set("delivered", parties.delivered);
    figures.set("lost", verdict.lost);
    figures.set("out_of_order", verdict.out_of_order);
    figures.set("duplicates", verdict.duplicates);
    figures.set("extra", verdict.extra);
    figures.set("refused", parties.refused());
    figures.set("acks_out_of_order", parties.acknowledged_out_of_order());
    if loss == Loss::Fails {
        figures.fail_if_any(verdict.lost, "deliveries were lost");
    }
    figures.fail_if_any(verdict.out_of_order, "deliveries were out of order");
    figures.fail_if_any(verdict.duplicates, "deliveries came twice");
    figures.fail_if_any(
        verdict.extra,
        "deliveries were damaged, misrouted or of nothing that was sent",
    );
    figures.fail_if_any(parties.refused(), "publishes were refused");
    figures.fail_if_any(
        parties.unacknowledged() as u64,
        "publishes were never acknowledged",
    );
}
