//! What a pattern means is what minimatch 3.0 says. `minimatch/generate.js` asked it.

use authorizer::{Glob, GlobError};

/// minimatch's answer for each pattern and topic, drawn at random; half of them match.
#[test]
fn every_answer_is_that_of_minimatch() {
    let mut refused = 0;
    let mut wrong = Vec::new();
    let mut matching = 0;
    let cases = include_str!("minimatch/cases.jsonl");
    for line in cases.lines() {
        let (pattern, topic, answer): (String, String, bool) = serde_json::from_str(line).unwrap();
        match Glob::new(&pattern) {
            Ok(glob) if glob.matches(&topic) == answer => matching += usize::from(answer),
            Ok(_) => wrong.push(line),
            Err(GlobError::Negation) => refused += 1,
            Err(error) => panic!("{pattern}: {error}"),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.lines().count(),
        wrong.join("\n")
    );
    assert!(matching > 1_000, "{matching}");
    assert!(refused < 100, "{refused} patterns are not supported");
}
