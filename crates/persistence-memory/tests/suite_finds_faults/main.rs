//! The contract suite is worth what it finds: a store with one fault does not pass the case that is
//! about it.

#![expect(clippy::unwrap_used, reason = "the store in memory always answers")]

mod faults;
mod faulty;
mod place;
mod unshared;

use std::panic::{AssertUnwindSafe, catch_unwind};

use broker_core::persistence::contract::{CASES, run_case};

use faults::{FOUND_BY, FOUND_BY_DRAWING, Fault};
use unshared::Unshared;

#[test]
fn every_fault_is_found() {
    // Dozens of panics are what this test wants; nobody wants to read them.
    std::panic::set_hook(Box::new(|_| {}));
    let drawn = "drawn_batches_do_what_the_model_says";
    let shared = "drawn_batches_through_two_handles_do_what_the_model_says";
    let drawn = FOUND_BY_DRAWING.iter().map(|fault| (*fault, drawn));
    let shared = [Fault::Alone, Fault::CachesSubscriptions].map(|fault| (fault, shared));
    let all = FOUND_BY.iter().copied().chain(drawn).chain(shared);
    let missed: Vec<_> = all
        .filter(|(fault, case)| {
            assert!(CASES.contains(case), "no case {case}");
            catch_unwind(AssertUnwindSafe(|| run_case(case, fault))).is_ok()
        })
        .collect();
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "{missed:?}");
}

/// What is found above is the fault, and nothing else about the store that has it.
#[test]
fn without_a_fault_every_case_passes() {
    for case in CASES {
        run_case(case, &Fault::None);
    }
}
#[test]
fn a_second_handle_where_there_should_be_none_is_found() {
    let case = "a_second_handle_finds_what_the_first_wrote";
    run_case(case, &Unshared::Refuses);
    for factory in [Unshared::Opens, Unshared::Silent, Unshared::Empties] {
        let found = catch_unwind(AssertUnwindSafe(|| run_case(case, &factory))).is_err();
        assert!(found, "{factory:?}");
    }
}
