//! Nodes come and go, and so do their filters.

use super::Factory;
use super::member::Member;
use crate::backend::NodeId;

/// Promise 4: a filter that goes takes nothing with it that another one asks for; to say it twice, or to
/// cancel what is not there, changes nothing.
pub(super) async fn filters_may_overlap_come_twice_and_go<F: Factory>(factory: &F) {
    let engine = factory.create();
    let mut a = Member::join(factory, &engine, "a").await;
    let mut b = Member::join(factory, &engine, "b").await;
    b.subscribe(&["t/#", "t/1"]).await.unwrap();
    b.subscribe(&["t/1", "t/1"]).await.unwrap();
    b.unsubscribe(&["never/there"]).await.unwrap();
    for (number, gone) in [["t/1"], ["t/1"]].into_iter().enumerate() {
        b.unsubscribe(&gone).await.unwrap();
        a.say("t/1", &number.to_string()).await.unwrap();
        assert_eq!(b.hear().await.1, number.to_string());
    }
    b.unsubscribe(&["t/#"]).await.unwrap();
    b.subscribe(&["t/+"]).await.unwrap();
    a.say("t/1", "again").await.unwrap();
    assert_eq!(b.hear().await.1, "again");
}

/// Promise 6: it is the whole of its identity by which a node is told from others.
pub(super) async fn nodes_of_one_name_are_two<F: Factory>(factory: &F) {
    let engine = factory.create();
    let mut nodes = Vec::new();
    for start in [1, 2] {
        let id = NodeId::new("same", start);
        nodes.push(Member::join_as(factory, &engine, id, 10).await);
    }
    let [first, second] = &mut *nodes else {
        panic!("two nodes");
    };
    for node in [&first, &second] {
        node.subscribe(&["t"]).await.unwrap();
    }
    first.say("t", "from the first").await.unwrap();
    second.say("t", "from the second").await.unwrap();
    assert_eq!(second.hear().await.1, "from the first");
    assert_eq!(first.hear().await.1, "from the second");
}

/// Promise 7.
pub(super) async fn who_has_left_gets_nothing_and_can_do_nothing<F: Factory>(factory: &F) {
    let engine = factory.create();
    let mut a = Member::join(factory, &engine, "a").await;
    let mut b = Member::join(factory, &engine, "b").await;
    let mut gone = Member::join(factory, &engine, "gone").await;
    for node in [&b, &gone] {
        node.subscribe(&["t"]).await.unwrap();
    }
    gone.say("t", "last words").await.unwrap();
    gone.membership.leave().await.unwrap();
    assert_eq!(b.hear().await.1, "last words");
    a.say("t", "later").await.unwrap();
    assert_eq!(b.hear().await.1, "later");
    assert!(gone.rest().await.is_empty());
    assert!(gone.say("t", "from the grave").await.is_err());
    assert!(gone.subscribe(&["t"]).await.is_err());
}

/// Promise 7, for one who does not say so.
pub(super) async fn who_drops_the_membership_has_left<F: Factory>(factory: &F) {
    let engine = factory.create();
    let mut a = Member::join(factory, &engine, "a").await;
    let mut b = Member::join(factory, &engine, "b").await;
    let gone = Member::join(factory, &engine, "gone").await;
    for node in [&b, &gone] {
        node.subscribe(&["t"]).await.unwrap();
    }
    drop(gone);
    for number in 0..10 {
        a.say("t", &number.to_string()).await.unwrap();
        assert_eq!(b.hear().await.1, number.to_string());
    }
}

/// Promise 1: who was there all the time gets all of it; who comes gets what is published afterwards.
pub(super) async fn nodes_may_come_and_go_while_others_publish<F: Factory>(factory: &F) {
    let engine = factory.create();
    let mut a = Member::join(factory, &engine, "a").await;
    let mut b = Member::join(factory, &engine, "b").await;
    b.subscribe(&["t"]).await.unwrap();
    for number in 0..20 {
        let mut guest = Member::join(factory, &engine, &format!("guest {number}")).await;
        guest.subscribe(&["t"]).await.unwrap();
        a.say("t", &number.to_string()).await.unwrap();
        assert_eq!(guest.hear().await.1, number.to_string());
        guest.membership.leave().await.unwrap();
        assert_eq!(b.hear().await.1, number.to_string());
    }
}
