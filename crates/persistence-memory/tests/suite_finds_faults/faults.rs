//! The faults, and the cases that find them.

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// Operations are committed one at a time.
    NotAtomic,
    /// A batch is applied from its end.
    BackwardBatches,
    /// The last operation of a large batch is lost.
    LosesTheLastOfMany,
    /// The batch is left as it was.
    KeepsTheBatch,
    /// A batch is applied when the next one comes.
    Late,
    /// Client identifiers are told apart by their first colon only.
    CutsAtColons,
    /// Client identifiers are compared without regard to case.
    IgnoresCase,
    /// Numbers go through a `double`.
    RoundsNumbers,
    /// Incarnations are not looked at.
    IgnoresIncarnations,
    /// The will of a session stays when it is dropped.
    ForgetsTheWill,
    /// A released message is kept.
    KeepsReleased,
    /// The bytes of a released message are still counted.
    CountsReleased,
    /// Messages come as they were written.
    Unordered,
    /// A page begins with the one that it should begin behind.
    PagesOverlap,
    /// A page has one record more than asked for.
    PagesTooLong,
    /// Wildcards in front match topics with `$`.
    ShowsDollar,
    /// `a/#` does not match `a`.
    ForgetsParent,
    /// The node of a will does not matter.
    IgnoresNodes,
    /// Each session has a copy of the message.
    Copies,
    /// The shared subscription of a message is lost.
    DropsShares,
    /// Properties are lost.
    DropsProperties,
    /// Opening again finds nothing.
    Forgets,
    /// A batch is applied when someone asks for its answer.
    Lazy,
    /// Of batches that wait together the last one is applied first.
    LastFirst,
    /// A crash takes a batch out of the middle.
    LosesTheMiddle,
    /// A second handle has a store of its own.
    Alone,
    /// Handles do not see subscriptions that other handles have written.
    CachesSubscriptions,
    /// The version is not looked at.
    IgnoresVersions,
    /// Another version is refused without a reason.
    HidesVersions,
    /// Lookups by a client's name find what belongs to `name:…`, too.
    LeaksPrefixes,
    /// A filter is kept under the names of its client and its own without anything between them.
    JoinsNames,
    /// `name:…` goes with `name`.
    DropsPrefixes,
    /// A successor has the subscriptions of its predecessor.
    KeepsOnSuccession,
    /// Sessions are dropped before all else of a batch is done.
    DropsFirst,
    /// What messages took up is never given back.
    LeaksMessages,
    /// Seconds are counted in 32 bits.
    ShortSeconds,
    /// What has expired takes with it what stands in its place.
    ExpiresSuccessors,
    /// Sessions go when their time has come.
    ExpiresSessions,
    /// Where a page begins is not looked at.
    SamePageAgain,
    /// No more than a thousand messages of a queue are ever found.
    ShortQueues,
    /// No more than a thousand retained messages are looked at.
    ShortSearches,
}

/// Each fault, and a case that finds it.
pub(crate) const FOUND_BY: &[(Fault, &str)] = &[
    (Fault::NotAtomic, "a_reader_never_sees_a_part_of_a_batch"),
    (Fault::BackwardBatches, "a_batch_is_applied_in_its_order"),
    (
        Fault::LosesTheLastOfMany,
        "ten_thousand_operations_are_one_batch",
    ),
    (Fault::KeepsTheBatch, "a_batch_is_left_empty"),
    (
        Fault::Late,
        "batches_one_after_the_other_apply_in_that_order",
    ),
    (Fault::CutsAtColons, "hostile_identifiers_are_kept_apart"),
    (Fault::IgnoresCase, "hostile_identifiers_are_kept_apart"),
    (
        Fault::RoundsNumbers,
        "numbers_may_be_as_large_as_their_types",
    ),
    (
        Fault::IgnoresIncarnations,
        "operations_of_another_incarnation_change_nothing",
    ),
    (
        Fault::ForgetsTheWill,
        "dropping_a_session_leaves_nothing_of_it",
    ),
    (Fault::KeepsReleased, "a_released_message_is_no_longer_kept"),
    (
        Fault::CountsReleased,
        "the_size_of_a_queue_is_that_of_its_list",
    ),
    (
        Fault::Unordered,
        "messages_come_in_the_order_of_their_numbers",
    ),
    (
        Fault::PagesOverlap,
        "a_page_may_start_behind_what_is_not_there",
    ),
    (Fault::PagesTooLong, "a_limit_of_zero_gives_nothing"),
    (
        Fault::ShowsDollar,
        "a_wildcard_in_front_does_not_match_dollar_topics",
    ),
    (Fault::ForgetsParent, "filters_find_what_they_match"),
    (Fault::IgnoresNodes, "wills_are_found_by_their_node"),
    (Fault::Copies, "a_message_for_many_sessions_is_stored_once"),
    (
        Fault::DropsShares,
        "a_queued_message_is_found_as_it_was_put",
    ),
    (Fault::DropsProperties, "every_part_of_a_message_survives"),
    (Fault::Forgets, "all_is_there_after_opening_again"),
    (
        Fault::Lazy,
        "batches_under_way_apply_in_the_order_of_their_calls",
    ),
    (Fault::Lazy, "the_order_of_calls_holds_across_threads"),
    (Fault::Lazy, "what_was_answered_is_seen_with_all_before_it"),
    (Fault::Lazy, "a_dropped_answer_does_not_move_the_others"),
    (
        Fault::LastFirst,
        "batches_under_way_apply_in_the_order_of_their_calls",
    ),
    (Fault::LastFirst, "the_order_of_calls_holds_across_threads"),
    (
        Fault::LastFirst,
        "what_was_answered_is_seen_with_all_before_it",
    ),
    (
        Fault::LastFirst,
        "a_dropped_answer_does_not_move_the_others",
    ),
    (
        Fault::LosesTheMiddle,
        "after_a_crash_a_prefix_of_the_batches_is_there",
    ),
    (Fault::Alone, "a_second_handle_finds_what_the_first_wrote"),
    (Fault::Alone, "two_handles_write_at_the_same_time"),
    (
        Fault::CachesSubscriptions,
        "a_second_handle_finds_what_the_first_wrote",
    ),
    (
        Fault::CachesSubscriptions,
        "a_session_moves_from_one_handle_to_the_other",
    ),
    (Fault::NotAtomic, "a_second_handle_sees_no_part_of_a_batch"),
    (
        Fault::Copies,
        "a_message_is_freed_with_the_last_whichever_handle_drops_it",
    ),
    (
        Fault::IgnoresVersions,
        "a_place_of_another_format_is_refused",
    ),
    (Fault::HidesVersions, "a_place_of_another_format_is_refused"),
    (Fault::NotAtomic, "a_reader_never_sees_what_is_half_gone"),
    (
        Fault::Unordered,
        "the_order_per_client_and_topic_holds_while_many_publish",
    ),
    (
        Fault::LeaksPrefixes,
        "names_and_numbers_do_not_run_together",
    ),
    (Fault::LeaksPrefixes, "hostile_identifiers_are_kept_apart"),
    (Fault::IgnoresNodes, "two_names_do_not_run_together"),
    (Fault::JoinsNames, "two_names_do_not_run_together"),
    (
        Fault::DropsPrefixes,
        "a_session_that_is_dropped_takes_all_of_it_and_nothing_else",
    ),
    (
        Fault::KeepsOnSuccession,
        "a_session_that_is_succeeded_takes_all_of_it_and_nothing_else",
    ),
    (
        Fault::DropsFirst,
        "a_session_that_is_changed_and_dropped_at_once_leaves_nothing",
    ),
    (
        Fault::LeaksMessages,
        "what_only_a_dropped_session_had_gives_its_room_back",
    ),
    (
        Fault::LeaksMessages,
        "a_large_message_for_very_many_is_stored_once",
    ),
    (
        Fault::Copies,
        "a_large_message_for_very_many_is_stored_once",
    ),
    (
        Fault::ShortSeconds,
        "a_message_that_has_not_expired_is_kept",
    ),
    (
        Fault::ExpiresSuccessors,
        "what_has_expired_does_not_take_its_successor_with_it",
    ),
    (
        Fault::SamePageAgain,
        "a_queued_message_is_found_as_it_was_put",
    ),
    (Fault::SamePageAgain, "pages_of_any_size_give_all_in_order"),
    (Fault::SamePageAgain, "a_long_queue_takes_any_order"),
    (
        Fault::ExpiresSessions,
        "sessions_and_wills_do_not_expire_by_themselves",
    ),
    (
        Fault::ShortQueues,
        "a_long_queue_is_streamed_and_emptied_from_the_front",
    ),
    (
        Fault::ShortSearches,
        "few_are_found_among_very_many_retained_messages",
    ),
];

/// Faults in what batches do, and in what lookups find: drawn batches find them without looking.
pub(crate) const FOUND_BY_DRAWING: &[Fault] = &[
    Fault::BackwardBatches,
    Fault::IgnoresIncarnations,
    Fault::ForgetsTheWill,
    Fault::KeepsReleased,
    Fault::CountsReleased,
    Fault::Unordered,
    Fault::PagesOverlap,
    Fault::PagesTooLong,
    Fault::ShowsDollar,
    Fault::ForgetsParent,
    Fault::IgnoresNodes,
    Fault::DropsShares,
    Fault::Forgets,
    Fault::LastFirst,
    Fault::LeaksPrefixes,
    Fault::DropsPrefixes,
    Fault::KeepsOnSuccession,
    Fault::DropsFirst,
];
