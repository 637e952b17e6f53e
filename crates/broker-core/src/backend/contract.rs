//! The suite that every [`Backend`] must pass, written once for all of them.
//!
//! An engine's crate says how to come by the engine ([`Factory`]) and writes one line:
//!
//! ```text
//! broker_core::backend_contract!(MyFactory::new());
//! ```
//!
//! That makes a `#[test]` of each case, so that a failure names what was broken. Each case says in its first
//! line which of the numbered promises of [`Backend`] it holds the engine to.
//!
//! Here are two engines for tests as well: [`Coarse`], which does all that an engine may do and nobody
//! would like, and [`Controlled`], which loses and holds back another one on command.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a suite of tests reports by panicking, and is compiled for tests only"
)]

mod coarse;
mod controlled;
mod delivery;
mod loss;
mod member;
mod membership;

use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Context;
use core::time::Duration;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

pub use coarse::Coarse;
pub use controlled::Controlled;

use super::Backend;

/// Time without an event.
const SILENCE: Duration = Duration::from_secs(20);

/// So many in a row: what is waited for does not happen.
const SILENCES_MAX: u32 = 3;

/// How the suite comes by the engines that it tests.
pub trait Factory: Sync {
    /// The engine itself, wherever it runs. Ends it when it is dropped.
    type Engine: Send + Sync;

    /// What a node is given of it.
    type Backend: Backend;

    /// An engine that has nothing in common with those made before.
    fn create(&self) -> Self::Engine;

    /// What one node is given.
    fn open(&self, engine: &Self::Engine) -> Self::Backend;

    /// Makes all nodes lose the engine. False if the factory cannot; what is to happen then is left out.
    fn lose(&self, engine: &Self::Engine) -> bool {
        let _ = engine;
        false
    }

    /// Ends that.
    fn restore(&self, engine: &Self::Engine) {
        let _ = engine;
    }

    /// Runs a case; an engine that needs a runtime has it entered meanwhile.
    fn around(&self, case: &mut dyn FnMut()) {
        case();
    }
}

/// A case: given the factory, it panics if a promise is broken.
type Case<F> = for<'a> fn(&'a F) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Makes a `#[test]` of each case of the suite for the [`Factory`] that the expression makes.
#[macro_export]
macro_rules! backend_contract {
    ($factory:expr) => {
        $crate::backend_contract!(@all tests ($factory));
    };
    (@all $what:ident $arguments:tt) => {
        $crate::backend_contract! {
            @$what $arguments
            delivery {
                what_is_published_comes_whole,
                topics_and_filters_may_have_any_characters,
                filters_match_as_in_mqtt,
                a_topic_keeps_its_order,
                what_is_for_all_nodes_comes_in_order_and_needs_no_filter,
                a_large_message_comes_or_is_refused_alone,
                very_many_come_or_are_missed,
                a_slow_node_holds_up_nobody_for_long,
            }
            membership {
                filters_may_overlap_come_twice_and_go,
                nodes_of_one_name_are_two,
                who_has_left_gets_nothing_and_can_do_nothing,
                who_drops_the_membership_has_left,
                nodes_may_come_and_go_while_others_publish,
            }
            loss {
                a_loss_is_said_and_calls_fail_until_it_is_over,
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
                    $crate::backend::contract::run_case(stringify!($case), &$factory);
                }
            )*
        })*
    };
    (@functions () $($subject:ident { $($case:ident,)* })*) => {
        vec![$($((stringify!($case), (|it| Box::pin($subject::$case(it))) as Case<F>),)*)*]
    };
}

fn cases<F: Factory>() -> Vec<(&'static str, Case<F>)> {
    crate::backend_contract!(@all functions ())
}

/// Runs one case by its name.
///
/// # Panics
/// If the engine breaks a promise, there is no such case, or nothing happens for a minute.
pub fn run_case<F: Factory>(name: &str, factory: &F) {
    let Some((_, case)) = cases::<F>().into_iter().find(|(it, _)| *it == name) else {
        panic!("there is no case {name}");
    };
    factory.around(&mut || run(case(factory)));
}

/// Runs a future to its end on the calling thread, unless nothing happens for too long.
fn run(future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    let caller = Arc::new(Caller {
        thread: thread::current(),
        has_called: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&caller));
    let mut context = Context::from_waker(&waker);
    let mut silences = 0;
    while future.as_mut().poll(&mut context).is_pending() {
        // A call that comes before this line is not lost: the thread then does not sleep.
        thread::park_timeout(SILENCE);
        silences = match caller.has_called.swap(false, Ordering::SeqCst) {
            true => 0,
            false => silences + 1,
        };
        assert!(silences < SILENCES_MAX, "nothing happens any more");
    }
}

/// Wakes the thread of a case.
struct Caller {
    thread: Thread,
    has_called: AtomicBool,
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        self.has_called.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The coarse engine, and the same behind the switch.
    struct Coarsely;

    impl Factory for Coarsely {
        type Engine = Controlled<Coarse>;
        type Backend = Controlled<Coarse>;

        fn create(&self) -> Self::Engine {
            Controlled::new(Coarse::new())
        }

        fn open(&self, engine: &Self::Engine) -> Self::Backend {
            engine.clone()
        }

        fn lose(&self, engine: &Self::Engine) -> bool {
            engine.lose();
            true
        }

        fn restore(&self, engine: &Self::Engine) {
            engine.restore();
        }
    }

    crate::backend_contract!(Coarsely);
}
