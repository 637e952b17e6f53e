//! What a pattern says of a topic filter, against what it says of the filter's topics one by one.
//!
//! Each byte is a part of the pattern; behind the first 0xFF each is a level of the filter. The topics are
//! those with up to two levels in place of `#`. Levels that begin with a dot are left out: for them a
//! grant means something else to who publishes than to who subscribes.

use authorizer::Glob;

const PARTS: [&str; 28] = [
    "/", "/", "/", "/", "/", "a", "a", "b", "*", "*", "**", "**", "?", "[a]", "[!a]", "{", ",",
    "}", "+(", "@(", "!(", "|", ")", "\\", "+", "#", "$s", "!",
];
const LEVELS: [&str; 8] = ["a", "b", "+", "+", "#", "", "$s", "ab"];
const NAMES: [&str; 6] = ["a", "b", "", "$s", "ab", "other"];

/// One pattern and one filter.
pub fn glob_containment(data: &[u8]) {
    // Longer ones take longer and show no more.
    let data = data.get(..24).unwrap_or(data);
    let cut = data.iter().position(|byte| *byte >= 0xF0);
    let (pattern, filter) = data.split_at(cut.unwrap_or(data.len() / 2));
    let pattern: String = parts(pattern, &PARTS).concat();
    let filter = parts(filter.get(..4).unwrap_or(filter), &LEVELS);
    let is_filter = filter.iter().rev().skip(1).all(|level| *level != "#");
    let text = filter.join("/");
    let Ok(glob) = Glob::new(&pattern) else {
        return;
    };
    if !is_filter || text.is_empty() {
        assert!(!glob.covers(&text) || text.is_empty(), "{pattern} {text}");
        return;
    }
    let covers = glob.covers(&text);
    let touches = glob.touches(&text);
    let is_wildcard = text.contains(['+', '#']);
    let negated = pattern.trim_start_matches('!').len() != pattern.len();
    let denied = pattern.trim_start_matches('!');
    let denies_others = (pattern.len() - denied.len()) % 2 == 1;
    let others: Vec<&str> = denied.split('/').collect();
    let levels: Vec<&str> = pattern.split('/').collect();
    for topic in topics(&filter) {
        let name = topic.join("/");
        if name.is_empty() {
            continue;
        }
        if glob.matches(&name) {
            assert!(glob.touches(&name), "{pattern} has {name}");
            // All but what others are granted: that is read as it is for subscribers.
            let left_out = denies_others
                && is_wildcard
                && (denied.contains(['{', '\\']) || grants(&others, &topic));
            assert!(
                touches || left_out,
                "{pattern} has {name}, which is in {text}"
            );
        } else if covers {
            // Of what is granted to subscribers alone there is a plain model without braces.
            let granted = !negated && (pattern.contains(['{', '\\']) || grants(&levels, &topic));
            assert!(
                is_wildcard && granted,
                "{pattern} covers {text}, but not {name}"
            );
        }
    }
}

fn parts<'a>(bytes: &[u8], parts: &[&'a str]) -> Vec<&'a str> {
    let part = |byte: &u8| parts.get(usize::from(*byte) % parts.len()).copied();
    bytes.iter().filter_map(part).collect()
}

/// Topics that the filter matches (MQTT 5.0 section 4.7).
fn topics<'a>(filter: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut all: Vec<Vec<&str>> = vec![vec![]];
    for (at, level) in filter.iter().enumerate() {
        let names = |topic: &Vec<&'a str>| -> Vec<Vec<&'a str>> {
            let visible = NAMES.iter().filter(|name| at > 0 || !name.starts_with('$'));
            visible
                .map(|name| [topic.as_slice(), &[name]].concat())
                .collect()
        };
        let more = |topic: &Vec<&'a str>| match *level {
            "+" => names(topic),
            "#" => {
                let one = names(topic);
                let two = one.iter().flat_map(|topic| {
                    NAMES
                        .iter()
                        .map(|name| [topic.as_slice(), &[name]].concat())
                });
                let two: Vec<_> = two.collect();
                [vec![topic.clone()], one, two].concat()
            }
            name => vec![[topic.as_slice(), &[name]].concat()],
        };
        all = all.iter().flat_map(more).collect();
    }
    all
}

/// What a pattern without braces grants to who subscribes, as a search through all ways; of one level
/// it asks the pattern of that level.
fn grants(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        // A run of slashes is one.
        ([first, "", rest @ ..], _) if !rest.is_empty() => {
            grants(&[&[*first], rest].concat(), topic)
        }
        (["**", rest @ ..], _) if grants(rest, topic) => true,
        (["#"], _) => true,
        (["**", ..], [_, others @ ..]) => grants(pattern, others),
        (["+", rest @ ..], [_, others @ ..]) => grants(rest, others),
        ([one, rest @ ..], [first, others @ ..]) => {
            let stars = !one.is_empty() && one.bytes().all(|byte| byte == b'*');
            // Behind another level `!` and `#` are no signs of a whole pattern.
            let level = Glob::new(&format!("x/{one}"));
            let matches = level.is_ok_and(|level| level.matches(&format!("x/{first}")));
            let same = one == first;
            (stars || same || (matches && !first.is_empty())) && grants(rest, others)
        }
        _ => false,
    }
}
