//! Two interfaces cannot have one port of one address.

use crate::modernize::populate;
use crate::problem::Problem;
use crate::value::{Object, Value};

/// Finds those that could not listen since another one does. Whether somebody else has a port is seen at the start alone.
pub(super) fn check(file: &Object, problems: &mut Vec<Problem>) {
    let options = populate(&file.clone().into());
    let Some(options) = options.as_object() else {
        return;
    };
    let interfaces = options.get("interfaces").and_then(Value::as_list);
    let mut taken: Vec<(Option<&Value>, u64, String)> = Vec::new();
    for (number, value) in interfaces.unwrap_or_default().iter().enumerate() {
        let Some((interface, port)) = value.as_object().and_then(|it| Some((it, it.get("port")?)))
        else {
            continue;
        };
        // 0 is any that is free.
        let Some(digits) = port.as_u64().filter(|&it| it > 0) else {
            continue;
        };
        let key = match file.get("interfaces") {
            Some(_) => format!("interfaces[{number}].port"),
            None => key_of(interface),
        };
        let host = interface.get("host").or(options.get("host"));
        let other = taken.iter().find(|it| (it.0, it.1) == (host, digits));
        match other {
            Some((.., other)) => problems.push(Problem {
                line: port.line.or(value.line),
                key,
                what: format!("is {port}, where `{other}` listens"),
            }),
            None => taken.push((host, digits, key)),
        }
    }
}

/// What sets the port of an interface in mosca's older form.
fn key_of(interface: &Object) -> String {
    match interface.get("type").and_then(Value::as_str) {
        Some("mqtts") => "secure.port".to_owned(),
        Some(web @ ("http" | "https")) => format!("{web}.port"),
        _ => "port".to_owned(),
    }
}
