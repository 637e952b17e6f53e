//! A replica set of three, of which any one may be missing.

use bson::doc;

use super::{Mode, Mongod, SET};
use crate::process::wait_until;

/// Three servers, one of which takes the writes and two of which follow.
#[derive(Debug)]
pub struct MongodSet {
    members: Vec<Mongod>,
}

impl MongodSet {
    /// Starts three servers and waits until one of them takes writes.
    ///
    /// # Panics
    /// If they do not come up, or there is no mongod.
    pub fn start() -> Self {
        let members: Vec<Mongod> = (0..3)
            .map(|_| {
                let mut builder = Mongod::new();
                builder.mode = Mode::Member;
                builder.start_uninitiated()
            })
            .collect();
        let ports: Vec<u16> = members.iter().map(|member| member.port()).collect();
        if let Some(first) = members.first() {
            first.initiate(&ports);
        }
        let set = Self { members };
        set.await_primary();
        // Only those who follow already can take over.
        wait_until("the other members to follow", || set.secondaries() == 2);
        set
    }

    /// The address of the set.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self
            .members
            .iter()
            .map(|member| format!("127.0.0.1:{}", member.port()))
            .collect();
        format!("mongodb://{}/?replicaSet={SET}", hosts.join(","))
    }

    /// The members, of which [`primary`](Self::primary) says who takes the writes.
    pub fn members(&mut self) -> &mut [Mongod] {
        &mut self.members
    }

    /// The place among the members of the one that takes the writes, if there is one at this moment.
    pub fn primary(&self) -> Option<usize> {
        self.members.iter().position(Mongod::is_writable)
    }

    /// Waits until there is a member that takes writes, and returns its place.
    ///
    /// # Panics
    /// If there is none for three minutes.
    pub fn await_primary(&self) -> usize {
        let mut primary = None;
        wait_until("a primary to be elected", || {
            primary = self.primary();
            primary.is_some()
        });
        primary.unwrap_or_default()
    }

    /// Makes the one that takes the writes step down, for so many seconds at least, and waits for
    /// another to take its place.
    ///
    /// # Panics
    /// If it does not.
    pub fn step_down(&self, seconds: i32) {
        let before = self.await_primary();
        if let Some(primary) = self.members.get(before) {
            let command =
                doc! { "replSetStepDown": seconds, "secondaryCatchUpPeriodSecs": seconds / 2 };
            primary.command("admin", command);
        }
        wait_until("another primary to be elected", || {
            self.primary().is_some_and(|primary| primary != before)
        });
    }

    fn secondaries(&self) -> usize {
        let follows = |member: &&Mongod| {
            member
                .try_command("admin", doc! { "hello": 1 })
                .is_ok_and(|answer| answer.get_bool("secondary").unwrap_or(false))
        };
        self.members.iter().filter(follows).count()
    }
}
