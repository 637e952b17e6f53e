//! What variables mean.

use super::*;
use crate::validate;

fn json(text: &str) -> Value {
    Format::Json.parse(text).unwrap()
}

#[test]
fn variables_count_before_the_file_in_the_form_of_their_options() {
    let file =
        json(r#"{ "interfaces": [{ "type": "mqtt" }, { "type": "ws", "port": 1 }], "host": "a" }"#);
    let variables = [
        ("MOSCA__INTERFACES__1__PORT", "8080"),
        ("MOSCA__INTERFACES__1__ORIGINS", "https://a, https://b"),
        ("MOSCA__INTERFACES__1__BUNDLE", "true"),
        ("MOSCA__HOST", "1"),
        ("MOSCA__LIMITS__MAX_INFLIGHT", "20"),
        ("MOSCA__LIMITS__QUEUE_QOS0", "true"),
        ("MOSCA__LIMITS__CONNECT_RATE_PER_ADDRESS__PER_SECOND", "5"),
        ("MOSCA__LIMITS__EXEMPT_NETWORKS", r#"["10.0.0.0/8"]"#),
        // Before the variable that says of which store it is.
        ("MOSCA__PERSISTENCE__DB", "3"),
        ("MOSCA__PERSISTENCE__FACTORY", "redis"),
        ("MOSCA__PERSISTENCE__REDIS_OPTIONS__KEY_PREFIX", "12"),
        ("MOSCA__BACKEND__TYPE", "memory"),
        // Not ours.
        ("MOSCA_PORT", "tcp://10.0.0.1:1883"),
        ("PATH", "/bin"),
    ];
    let expected = json(
        r#"{ "interfaces": [{ "type": "mqtt" }, { "type": "ws", "port": 8080, "bundle": true,
                "origins": ["https://a", "https://b"] }],
             "host": "1",
             "limits": { "maxInflight": 20, "queueQos0": true, "connectRatePerAddress": { "perSecond": 5 },
                "exemptNetworks": ["10.0.0.0/8"] },
             "persistence": { "factory": "redis", "db": 3, "redisOptions": { "keyPrefix": "12" } },
             "backend": { "type": "memory" } }"#,
    );
    let options = with_environment(&file, variables).unwrap();
    assert_eq!(options, expected);
    assert_eq!(validate(&options), []);
}

#[test]
fn what_a_variable_says_has_to_be_right_like_what_a_file_says() {
    let options = with_environment(&json("{}"), [("MOSCA__PORT", "many")]).unwrap();
    let problems = validate(&options);
    assert_eq!(problems.len(), 1);
    let expected = "`port` is the text \"many\"; expected is a whole number from 0 to 65535";
    assert_eq!(problems[0].to_string(), expected);
}

/// In a file it may stand there in vain.
#[test]
fn a_variable_that_would_have_no_effect_is_wrong() {
    let file = json(r#"{ "interfaces": [{ "type": "mqtt" }] }"#);
    let options = with_environment(&file, [("MOSCA__PORT", "1884")]).unwrap();
    let problems = validate(&options);
    assert_eq!(problems.len(), 1);
    let expected = "`port` stands beside `interfaces`: two choices at once";
    assert_eq!(problems[0].to_string(), expected);
}

#[test]
fn variables_that_name_no_option_are_said_all_at_once() {
    let file = json(r#"{ "interfaces": [{ "type": "mqtt" }] }"#);
    let variables = [
        ("MOSCA__PROT", "1"),
        ("MOSCA__LIMITS__MAX_INFLIHGT", "1"),
        ("MOSCA__INTERFACES__1__PORT", "1"),
        ("MOSCA__INTERFACES__0__PATH", "/x"),
        ("MOSCA__PERSISTENCE__DB", "3"),
        ("MOSCA__", "3"),
    ];
    let problems = with_environment(&file, variables).unwrap_err();
    let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
    for (problem, expected) in said.iter().zip([
        "`MOSCA__PROT` is no option; did you mean `PORT`?",
        "`MOSCA__LIMITS__MAX_INFLIHGT` is no option; did you mean `MAX_INFLIGHT`?",
        "`MOSCA__INTERFACES__1__PORT` names `1` of a list that has 1, counted from 0",
        "`MOSCA__INTERFACES__0__PATH` is no option; there are TYPE, HOST",
        "`MOSCA__PERSISTENCE__DB` is no option; there are FACTORY",
        "`MOSCA__` is no option",
    ]) {
        assert!(
            problem.starts_with(expected),
            "{problem} is not {expected}…"
        );
    }
    assert_eq!(said.len(), variables.len());
}
