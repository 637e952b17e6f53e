//! The engine is lost, and comes back.

use super::Factory;
use super::member::{Heard, Member};
use crate::backend::BackendState;

/// Promise 5.
pub(super) async fn a_loss_is_said_and_calls_fail_until_it_is_over<F: Factory>(factory: &F) {
    let engine = factory.create();
    let mut a = Member::join(factory, &engine, "a").await;
    let mut b = Member::join(factory, &engine, "b").await;
    b.subscribe(&["t"]).await.unwrap();
    for round in ["first", "second"] {
        if !factory.lose(&engine) {
            return;
        }
        for node in [&mut a, &mut b] {
            assert_eq!(state(node).await, BackendState::Lost);
        }
        assert!(a.say("t", "lost").await.is_err());
        assert!(b.subscribe(&["u"]).await.is_err());
        factory.restore(&engine);
        for node in [&mut a, &mut b] {
            assert_eq!(state(node).await, BackendState::Connected);
        }
        b.subscribe(&["t", "u"]).await.unwrap();
        a.say("u", round).await.unwrap();
        // What failed may have come nevertheless.
        loop {
            let (topic, payload) = b.hear().await;
            if topic == "u" {
                assert_eq!(payload, round);
                break;
            }
            assert_eq!(payload, "lost");
        }
    }
}

/// The next thing that the engine says of itself.
async fn state(node: &mut Member) -> BackendState {
    loop {
        if let Heard::State(state) = node.next().await {
            return state;
        }
    }
}
