//! Numbers and names that are given out once.

use std::collections::HashSet;
use std::thread;

use mosca::Server;

#[test]
fn no_number_and_no_name_is_given_to_two_threads() {
    const EACH: usize = 1_000;
    let server = Server::builder().start_on_own_threads(1).unwrap();
    let given = || {
        let pair = |_| (server.next_dedup_id(), server.generate_unique_id());
        (0..EACH).map(pair).collect::<Vec<_>>()
    };
    let all: Vec<(u64, String)> = thread::scope(|scope| {
        let threads = [scope.spawn(given), scope.spawn(given)];
        threads
            .into_iter()
            .flat_map(|it| it.join().unwrap())
            .collect()
    });
    let numbers: HashSet<u64> = all.iter().map(|(number, _)| *number).collect();
    let names: HashSet<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
    // Counted from 0, without a gap.
    assert_eq!(numbers, (0..2 * EACH as u64).collect());
    assert_eq!(names.len(), 2 * EACH);
    // Each server counts for itself.
    let other = Server::builder().start_on_own_threads(1).unwrap();
    assert_eq!(other.next_dedup_id(), 0);
}
