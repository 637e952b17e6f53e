//! That every limit can be set, and is what it is by default.

use super::*;
use crate::modernize::populate;
use crate::parse::Format;
use mosca::{Interface, Server};

/// The rows of `docs/limits.md` that are fields of `BrokerOptions` or methods of `ServerBuilder`.
fn rows() -> Vec<String> {
    let page = include_str!("../../../../docs/limits.md");
    let mut section = "";
    let mut names = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        }
        // Its rows name limits again, with their tests.
        if section == "Shown by" {
            break;
        }
        let cell = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split_once("` |"));
        let Some((name, _)) = cell else { continue };
        match name.split_once("::") {
            Some(("ServerBuilder", method)) => names.push(method.to_owned()),
            Some(_) => {}
            // Those of the crate `authorizer`.
            None if section == "Logging in" => {}
            None if name.contains(' ') => {}
            None => names.push(name.to_owned()),
        }
    }
    names
}

/// What a program alone can give.
const OF_PROGRAMS: [&str; 8] = [
    "announcements",
    "node",
    "authentication_methods",
    "require_enhanced_authentication",
    "redirect",
    "hooks",
    "response_information",
    "assign_client_id",
];

#[test]
fn every_row_of_the_page_of_limits_has_a_key_and_there_are_no_others() {
    let rows = rows();
    let settable = rows
        .iter()
        .filter(|row| !OF_PROGRAMS.contains(&row.as_str()));
    let mut expected: Vec<_> = settable.map(|row| camel_case(row)).collect();
    assert!(expected.len() > 30, "{expected:?}");
    let mut known: Vec<_> = definitions().iter().map(|it| it.name.to_owned()).collect();
    expected.sort();
    known.sort();
    assert_eq!(known, expected);
}

/// The ends of its range, or something of its kind.
fn samples(kind: Kind) -> Vec<Value> {
    let json = |text| Format::Json.parse(text).unwrap();
    match kind {
        Kind::Number { from, to, .. } => vec![from.into(), to.into()],
        Kind::Flag => vec![false.into(), true.into()],
        Kind::Words(words) => words.iter().map(|&word| word.into()).collect(),
        Kind::FalseOr(_) => vec![false.into(), json(r#"{ "perSecond": 7, "burst": 9 }"#)],
        Kind::List(_) => vec![json("[]"), json(r#"["10.0.0.0/8"]"#)],
        other => panic!("{other:?}"),
    }
}

/// A kind that is not the option's own, or a range that is wider than its type, would change nothing.
#[test]
fn each_limit_takes_effect_at_both_ends_of_its_range() {
    let without = format!("{:?}", Server::builder());
    for &(definition, set, get) in TABLE.iter() {
        for sample in samples(definition.kind) {
            let server = set(Server::builder(), &sample);
            let shown = format!("{server:?}");
            let Some(get) = get else {
                assert_ne!(shown, without, "{}: {sample}", definition.name);
                continue;
            };
            let _server = server.broker(|options| {
                let set = Format::Json.parse(&get(options)).unwrap();
                assert_eq!(set, sample, "{}", definition.name);
            });
        }
    }
}

/// What has its default in a text says there what the code has.
#[test]
fn the_defaults_of_files_are_those_of_the_code() {
    let options = populate(&Object::new().into());
    let server = apply(Server::builder(), options.as_object().unwrap());
    // But for statistics, which a program has to ask for.
    let without = Server::builder().statistics(STATISTICS_INTERVAL);
    assert_eq!(format!("{server:?}"), format!("{without:?}"));

    let web = r#"{ "interfaces": [{ "type": "http" }] }"#;
    let options = populate(&Format::Json.parse(web).unwrap());
    let interfaces = options.as_object().unwrap().get("interfaces").unwrap();
    let options = interfaces.as_list().unwrap()[0].as_object().unwrap();
    let time = |key| Duration::from_millis(options.get(key).unwrap().as_u64().unwrap());
    let interface = Interface::http("localhost:1")
        .connect_rate(rate(options.get("connectRate").unwrap()))
        .handshake_timeout(time("handshakeTimeout"))
        .tcp_keepalive(time("tcpKeepalive"))
        .request_timeout(time("requestTimeout"))
        .response_timeout(time("responseTimeout"));
    let without = Interface::http("localhost:1");
    assert_eq!(format!("{interface:?}"), format!("{without:?}"));
}
