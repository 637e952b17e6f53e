//! The suite that every [`Persistence`] must pass, written once for all of them.
//!
//! A store crate says how to come by a store ([`Factory`]) and writes one line:
//!
//! ```text
//! broker_core::persistence_contract!(MyFactory::new());
//! ```
//!
//! That makes a `#[test]` of each case, so that a failure names what was broken. The cases stand in
//! files named after their subjects; each says in its first line which of the numbered promises of
//! [`Persistence`] it holds the store to. A case gets a place of its own, so all may run at once.
//!
//! What a suite inside one process cannot show is that `Ok` meant durable: [`Factory::crash_image`]
//! comes close where files can be copied, and a test that kills a process belongs to the store's
//! own crate. That errors leave a batch unapplied is shown there too, with
//! [`FailingPersistence`] or by filling the store up: only the store knows how to make it fail.
//!
//! What the Node.js mosca asked of its stores is asked here too; the page `docs/stores-parity.md` has
//! each of its 48 cases with ours.
//!
//! # How long it takes
//!
//! [`Factory::scale`] says how much the cases on large amounts write: [`Scale::FULL`] for stores inside
//! of the process, [`Scale::SERVER`] for those behind a network. Nothing depends on the time that a
//! store takes; what would take minutes is found by its costs, since the suite ends only then.
//!
//! # What a store has to have besides
//!
//! | what | how a factory says it |
//! | --- | --- |
//! | one handle at a time, or several | [`Factory::SHARED`], [`Factory::try_open`] |
//! | a version of its format | [`Factory::spoil_version`] |
//! | what a crash would leave | [`Factory::crash_image`] |
//! | that what waits for many is stored once | [`Factory::stored_message_bytes`] |
//! | that what has expired goes by itself | [`Factory::await_expiry`] |
//!
//! What is drawn is compared with [`Model`], a store that is nothing but lists; a store's own tests
//! may use it as well.

#![expect(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a suite of tests reports by panicking, and is compiled for tests only"
)]

mod batches;
mod draw;
mod drawn;
mod expiry;
mod failing;
mod identifiers;
mod incoming;
mod messages;
mod model;
mod order;
mod outgoing;
mod paging;
mod removal;
mod restart;
mod retained;
mod samples;
mod scale;
mod sessions;
mod sharing;
mod subject;
mod subscriptions;
mod wills;

use core::future::Future;

pub use crate::block_on;
pub use failing::{Behaviour, FailingPersistence};
pub use model::{Model, ModelContents};
pub use scale::Scale;

use super::Persistence;
use subject::Subject;

/// How the suite comes by the stores that it tests.
///
/// For stores in memory:
///
/// ```
/// use std::marker::PhantomData;
/// use std::sync::Arc;
///
/// use broker_core::persistence::Persistence;
/// use broker_core::persistence::contract::Factory;
///
/// struct InMemory<S>(PhantomData<fn() -> S>);
///
/// impl<S: Persistence + Default> Factory for InMemory<S> {
///     type Place = Arc<S>;
///     type Store = Arc<S>;
///
///     fn create(&self) -> Arc<S> {
///         Arc::default()
///     }
///
///     fn open(&self, place: &Arc<S>) -> Arc<S> {
///         Arc::clone(place)
///     }
///
///     fn spoil_version(&self, _: &Arc<S>, _: u32) -> Option<u32> {
///         None
///     }
///
///     fn crash_image(&self, _: &Arc<S>) -> Option<Arc<S>> {
///         None
///     }
///
///     fn stored_message_bytes(&self, _: &Arc<S>, _: &Arc<S>) -> Option<u64> {
///         None
///     }
/// }
/// ```
pub trait Factory: Sync {
    /// Where data lives apart from any handle on it: a folder, a database, a key prefix. For a
    /// store in memory it is the store, shared. Removes the data when it is dropped.
    type Place: Send + Sync;

    /// The store itself.
    type Store: Persistence;

    /// Whether several handles may be open on one place at the same time, as two processes have
    /// them. They then see what each other writes; where they may not, the second is refused.
    const SHARED: bool = true;

    /// How much the cases on large amounts ask for. To be lowered only for a store on which the
    /// suite would take minutes, and then so that it can be run at [`Scale::FULL`] by hand.
    fn scale(&self) -> Scale {
        Scale::FULL
    }

    /// An empty place that shares nothing with those made before.
    fn create(&self) -> Self::Place;

    /// A handle on what is in a place.
    fn open(&self, place: &Self::Place) -> Self::Store;

    /// The same for a place that may not be opened: one that is open already, or is of another
    /// version. Must have nothing in common with the handles that are open, as in another process.
    ///
    /// # Errors
    /// The text that the operator would read.
    fn try_open(&self, place: &Self::Place) -> Result<Self::Store, String> {
        Ok(self.open(place))
    }

    /// Writes this version of the format in place of the one that the place has, while no handle is
    /// open; all else stays. Returns the version that the store understands, or `None` where
    /// places have no versions.
    fn spoil_version(&self, place: &Self::Place, version: u32) -> Option<u32>;

    /// What would be found in the place if the process were killed at this moment, as a place of
    /// its own; made while a handle is open. `None` where that cannot be done: the suite then
    /// drops the handle and opens the place again.
    fn crash_image(&self, place: &Self::Place) -> Option<Self::Place>;

    /// How many bytes messages take up in the store, approximately: by it the suite sees that a
    /// message that waits for many sessions is stored once. `None` where that cannot be found out.
    fn stored_message_bytes(&self, place: &Self::Place, store: &Self::Store) -> Option<u64>;

    /// Returns when what has expired by now is gone, where the store removes it by itself at a time of
    /// its own choice; where it does not, at once.
    fn await_expiry(&self, _place: &Self::Place, _store: &Self::Store) {}

    /// Runs a future to its end. A store whose futures need a runtime runs them on it.
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on(future)
    }
}

/// Runs the case of that name; [`CASES`] has all names.
///
/// # Panics
/// If the store does not keep its promises, or there is no such case.
pub fn run_case<F: Factory>(name: &str, factory: &F) {
    let Some((_, case)) = cases::<F>().into_iter().find(|(known, _)| *known == name) else {
        panic!("the suite has no case {name:?}");
    };
    case(Subject::new(factory));
}

/// Runs all cases, one after the other. [`persistence_contract!`](crate::persistence_contract) is
/// the better choice where tests are made by `#[test]`.
///
/// # Panics
/// If the store does not keep its promises.
pub fn run_all<F: Factory>(factory: &F) {
    for (_, case) in cases::<F>() {
        case(Subject::new(factory));
    }
}

/// A case of the suite.
type Case<F> = fn(Subject<'_, F>);

/// Makes a `#[test]` of each case of the suite in [`contract`](crate::persistence::contract), in
/// modules named after their subjects. The argument is an expression that gives a
/// [`Factory`](crate::persistence::contract::Factory); it is evaluated for each test.
#[macro_export]
macro_rules! persistence_contract {
    ($factory:expr $(,)?) => {
        $crate::persistence_contract! { @cases tests $factory }
    };
    // The one list of all cases. A case that is missing here is dead code, and so reported by the
    // compiler.
    (@cases $what:ident $($argument:tt)*) => {
        $crate::persistence_contract! { @$what ($($argument)*)
            batches {
                a_batch_is_applied_in_its_order,
                a_batch_is_left_empty,
                an_empty_batch_changes_nothing,
                a_reader_never_sees_a_part_of_a_batch,
                a_reader_never_sees_a_part_of_one_queue,
                a_reader_never_sees_what_is_half_gone,
                batches_one_after_the_other_apply_in_that_order,
                a_dropped_answer_leaves_all_or_nothing,
                ten_thousand_operations_are_one_batch,
            }
            order {
                batches_under_way_apply_in_the_order_of_their_calls,
                the_order_of_calls_holds_across_threads,
                what_was_answered_is_seen_with_all_before_it,
                a_dropped_answer_does_not_move_the_others,
                after_a_crash_a_prefix_of_the_batches_is_there,
                the_order_per_client_and_topic_holds_while_many_publish,
            }
            sharing {
                a_second_handle_finds_what_the_first_wrote,
                a_second_handle_sees_no_part_of_a_batch,
                two_handles_write_at_the_same_time,
                a_session_moves_from_one_handle_to_the_other,
                a_message_is_freed_with_the_last_whichever_handle_drops_it,
            }
            sessions {
                an_empty_store_knows_nothing,
                a_session_is_found_as_it_was_put,
                putting_a_session_again_replaces_the_record_and_keeps_the_contents,
                a_later_incarnation_removes_the_earlier_one_with_its_contents,
                an_earlier_incarnation_changes_nothing,
                operations_of_another_incarnation_change_nothing,
                operations_on_an_unknown_session_change_nothing,
                dropping_what_is_not_there_changes_nothing,
                dropping_a_session_leaves_nothing_of_it,
                dropping_a_session_touches_nobody_else,
                a_session_that_comes_back_starts_empty,
                many_sessions_come_and_go,
            }
            identifiers {
                hostile_identifiers_are_kept_apart,
                identifiers_come_in_the_order_of_their_bytes,
                identifiers_may_be_as_long_as_mqtt_allows,
                names_and_numbers_do_not_run_together,
                two_names_do_not_run_together,
                numbers_may_be_as_large_as_their_types,
                intervals_may_be_as_large_as_their_types,
            }
            subscriptions {
                a_subscription_is_found_as_it_was_put,
                a_subscription_is_replaced_by_one_with_its_filter,
                a_subscription_is_removed_by_its_filter,
                filters_of_subscriptions_are_opaque,
                looking_does_not_change_subscriptions,
            }
            outgoing {
                a_queued_message_is_found_as_it_was_put,
                messages_come_in_the_order_of_their_numbers,
                putting_a_message_again_replaces_it,
                the_stages_of_a_delivery_are_kept,
                a_released_message_is_no_longer_kept,
                marking_or_removing_an_unknown_message_changes_nothing,
                messages_leave_the_queue_in_any_order,
                the_size_of_a_queue_is_that_of_its_list,
                looking_does_not_change_the_queue,
                a_message_for_many_sessions_is_stored_once,
                a_message_shared_with_others_stays_for_them,
            }
            incoming {
                packet_identifiers_come_in_ascending_order,
                all_packet_identifiers_may_be_in_use,
                a_packet_identifier_is_kept_once,
                packet_identifiers_and_queued_messages_are_apart,
            }
            retained {
                a_retained_message_is_found_by_its_topic,
                a_retained_message_is_replaced,
                one_of_many_writers_wins,
                a_retained_message_is_removed,
                filters_find_what_they_match,
                a_wildcard_in_front_does_not_match_dollar_topics,
                empty_levels_are_levels,
                without_a_filter_all_are_found,
                characters_with_a_meaning_elsewhere_have_none_here,
                drawn_filters_find_what_the_rules_say,
                retained_messages_outlive_sessions,
            }
            wills {
                a_will_is_found_as_it_was_put,
                a_will_needs_no_session,
                wills_are_found_by_their_node,
                a_will_is_replaced_even_from_another_node,
                a_will_of_another_incarnation_is_left_alone,
                a_will_goes_with_its_session,
            }
            messages {
                every_part_of_a_message_survives,
                payloads_of_any_bytes_survive,
                a_large_payload_survives,
                times_survive,
            }
            expiry {
                a_message_that_has_not_expired_is_kept,
                what_has_expired_does_not_take_its_successor_with_it,
                sessions_and_wills_do_not_expire_by_themselves,
            }
            removal {
                a_session_that_is_dropped_takes_all_of_it_and_nothing_else,
                a_session_that_is_succeeded_takes_all_of_it_and_nothing_else,
                a_session_that_is_changed_and_dropped_at_once_leaves_nothing,
                what_only_a_dropped_session_had_gives_its_room_back,
            }
            paging {
                pages_of_any_size_give_all_in_order,
                a_page_may_start_behind_what_is_not_there,
                a_limit_of_zero_gives_nothing,
                what_stays_is_found_while_others_come_and_go,
                filtered_pages_find_what_stays,
            }
            restart {
                all_is_there_after_opening_again,
                all_is_there_after_a_crash,
                what_was_removed_stays_removed,
                numbers_go_on_after_opening_again,
                a_place_of_another_format_is_refused,
            }
            drawn {
                drawn_batches_do_what_the_model_says,
                drawn_batches_through_two_handles_do_what_the_model_says,
            }
            scale {
                a_long_queue_is_dropped_at_once,
                a_long_queue_takes_any_order,
                a_long_queue_is_streamed_and_emptied_from_the_front,
                a_large_message_for_very_many_is_stored_once,
                few_are_found_among_very_many_retained_messages,
            }
        }
    };
    (@tests ($factory:expr) $($subject:ident { $($case:ident,)* })*) => {
        $(mod $subject {
            #[allow(unused_imports, reason = "the factory may be named by its whole path")]
            use super::*;
            $(
                #[test]
                fn $case() {
                    $crate::persistence::contract::run_case(stringify!($case), &$factory);
                }
            )*
        })*
    };
    (@names () $($subject:ident { $($case:ident,)* })*) => {
        &[$($(stringify!($case),)*)*]
    };
    (@functions () $($subject:ident { $($case:ident,)* })*) => {
        vec![$($((stringify!($case), $subject::$case as Case<F>),)*)*]
    };
}

/// The names of all cases.
pub const CASES: &[&str] = crate::persistence_contract!(@cases names);

fn cases<F: Factory>() -> Vec<(&'static str, Case<F>)> {
    crate::persistence_contract!(@cases functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_cases_share_a_name() {
        let mut names = CASES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
    }
}
