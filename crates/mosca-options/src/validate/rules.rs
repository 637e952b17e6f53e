//! What options mean for each other.

mod backend;
mod ports;

use crate::modernize::modernize;
use crate::problem::Problem;
use crate::table::FILE;
use crate::value::{Object, Value};

/// Two words for one thing, or one that needs another.
pub(super) fn check(file: &Object, problems: &mut Vec<Problem>) {
    check_certificates(file, problems);
    // In a file of mosca's they may stand there in vain; who sets a variable or a flag means it.
    for key in overruled(file).filter(|it| file.get(it).is_some_and(|it| it.line.is_none())) {
        beside(file, key, "", "interfaces", problems);
    }
    ports::check(file, problems);
    if let Some(id) = file.get("id") {
        let is_wild = id.as_str().is_some_and(|it| it.contains(['+', '#', '\0']));
        let what = format!("is {id}; it stands in topic names, and they have no +, # and NUL");
        problems.extend(is_wild.then(|| Problem::of("id", id, what)));
    }
    let has = |section: &str, key| {
        let section = file.get(section).and_then(Value::as_object);
        section.is_some_and(|it| it.get(key).is_some())
    };
    if has("limits", "maxInflight") {
        beside(
            file,
            "maxInflightMessages",
            "",
            "limits.maxInflight",
            problems,
        );
    }
    if let Some(persistence) = file.get("persistence").and_then(Value::as_object) {
        check_persistence(file, persistence, problems);
    }
    if let Some(section) = file.get("backend").and_then(Value::as_object) {
        backend::check(section, problems);
    }
    check_tokens(file, problems);
    for (key, value) in credentials(file) {
        check_credentials(&key, value, problems);
    }
    let interfaces = file
        .get("interfaces")
        .and_then(Value::as_list)
        .unwrap_or_default();
    for (number, interface) in interfaces.iter().enumerate() {
        check_interface(&format!("interfaces[{number}]."), interface, problems);
    }
}

/// What mosca's older form says of listening, where the newer one says it too, and counts. The certificates of `secure`
/// count even so.
fn overruled(file: &Object) -> impl Iterator<Item = &'static str> {
    let is_modern = file.get("interfaces").is_some();
    let legacy = FILE().iter().filter(move |it| is_modern && it.is_legacy);
    legacy.map(|it| it.name).filter(|&it| it != "secure")
}

/// A key that must not stand where the other one does.
fn beside(object: &Object, key: &str, section: &str, other: &str, problems: &mut Vec<Problem>) {
    if let Some(value) = object.get(key) {
        let what = format!("stands beside `{other}`: two choices at once");
        problems.push(Problem::of(format!("{section}{key}"), value, what));
    }
}

fn missing(section: &str, key: &str, value: &Value, expected: &str) -> Problem {
    let what = format!("is missing; expected is {expected}");
    Problem::of(format!("{section}{key}"), value, what)
}

fn check_persistence(file: &Object, persistence: &Object, problems: &mut Vec<Problem>) {
    let limits = file.get("limits").and_then(Value::as_object);
    let has_limit = |key| limits.is_some_and(|it| it.get(key).is_some());
    let ttl = persistence.get("ttl").and_then(Value::as_object);
    for (section, name, key, limit) in [
        (
            ttl,
            "persistence.ttl.",
            "subscriptions",
            "legacySessionExpirySecs",
        ),
        (
            ttl,
            "persistence.ttl.",
            "packets",
            "queuedMessageExpirySecs",
        ),
        (
            Some(persistence),
            "persistence.",
            "offlineMessageTimeout",
            "queuedMessageExpirySecs",
        ),
        (
            Some(persistence),
            "persistence.",
            "storeMessagesQos0",
            "queueQos0",
        ),
    ] {
        if let Some(section) = section.filter(|_| has_limit(limit)) {
            beside(section, key, name, &format!("limits.{limit}"), problems);
        }
    }
    check_redis(persistence, problems);
}

/// An address or its parts; Sentinels and what they watch.
fn check_redis(persistence: &Object, problems: &mut Vec<Problem>) {
    let factory = persistence.get("factory").and_then(Value::as_str);
    let is_redis = factory.is_some_and(|it| it.eq_ignore_ascii_case("redis"));
    if is_redis && persistence.get("url").is_some() {
        for key in [
            "host",
            "port",
            "db",
            "password",
            "redisOptions",
            "redisOpts",
        ] {
            beside(persistence, key, "persistence.", "url", problems);
        }
    }
    for key in ["redisOptions", "redisOpts"] {
        let inner = persistence.get(key).and_then(Value::as_object);
        let sentinels = inner.and_then(|it| it.get("sentinels"));
        if let (Some(inner), Some(sentinels)) = (inner, sentinels)
            && inner.get("name").is_none()
        {
            let expected = "the name of the service that the sentinels watch";
            problems.push(missing(
                &format!("persistence.{key}."),
                "name",
                sentinels,
                expected,
            ));
        }
    }
}

/// Tokens need keys, and what is the token itself cannot be asked for in it.
fn check_tokens(file: &Object, problems: &mut Vec<Problem>) {
    let authentication = file.get("authentication").and_then(Value::as_object);
    let value = authentication.and_then(|it| it.get("jwt"));
    let Some((value, jwt)) = value.and_then(|value| Some((value, value.as_object()?))) else {
        return;
    };
    let section = "authentication.jwt.";
    let has_keys = |key: &&str| {
        let files = jwt
            .get(key)
            .map(|it| it.as_list().is_none_or(|it| !it.is_empty()));
        files.unwrap_or(false)
    };
    if !["secretFiles", "publicKeyFiles", "jwksFiles"]
        .iter()
        .any(has_keys)
    {
        let expected = "a list of files, here or as secretFiles or jwksFiles";
        problems.push(missing(section, "publicKeyFiles", value, expected));
    }
    let place = jwt.get("tokenIn").and_then(Value::as_str);
    let is_user_name = place.is_some_and(|it| it.eq_ignore_ascii_case("userName"));
    if let Some(claims) = jwt.get("requiredClaims").filter(|_| is_user_name)
        && let Some(object) = claims.as_object()
        && object.iter().any(|(_, claim)| claim.as_str() == Some("%u"))
    {
        let what = "has %u, the user name, which is the token itself (tokenIn)";
        problems.push(Problem::of(
            format!("{section}requiredClaims"),
            claims,
            what,
        ));
    }
}

/// All credentials of a file with their names.
fn credentials(file: &Object) -> Vec<(String, &Value)> {
    let of_file = ["credentials", "secure"]
        .into_iter()
        .filter_map(|key| Some((key.to_owned(), file.get(key)?)));
    let interfaces = file
        .get("interfaces")
        .and_then(Value::as_list)
        .unwrap_or_default();
    let own = interfaces
        .iter()
        .enumerate()
        .filter_map(|(number, interface)| {
            let credentials = interface.as_object()?.get("credentials")?;
            Some((format!("interfaces[{number}].credentials"), credentials))
        });
    of_file.chain(own).collect()
}

fn check_credentials(key: &str, value: &Value, problems: &mut Vec<Problem>) {
    let Some(credentials) = value.as_object() else {
        return;
    };
    check_pair(&format!("{key}."), credentials, problems);
    let further = credentials.get("certificates").and_then(Value::as_list);
    for (number, value) in further.unwrap_or_default().iter().enumerate() {
        let section = format!("{key}.certificates[{number}].");
        match value.as_object() {
            Some(pair) if pair.get("certPath").or(pair.get("keyPath")).is_none() => {
                problems.push(missing(&section, "certPath", value, "a file"));
            }
            Some(pair) => check_pair(&section, pair, problems),
            None => {}
        }
    }
    let asked = credentials
        .get("requestCert")
        .filter(|it| it.as_bool() == Some(true));
    if let Some(asked) = asked.filter(|_| credentials.get("caPaths").is_none()) {
        let expected = "a list of files with the authorities that issue the clients' certificates";
        problems.push(missing(&format!("{key}."), "caPaths", asked, expected));
    }
}

/// An interface with TLS needs a certificate from somewhere.
fn check_certificates(file: &Object, problems: &mut Vec<Problem>) {
    let modern = modernize(&file.clone().into());
    let Some(modern) = modern.as_object() else {
        return;
    };
    let has_any = |options: &Object| {
        let credentials = options.get("credentials").and_then(Value::as_object);
        credentials.is_some_and(|it| it.get("certPath").or(it.get("certificates")).is_some())
    };
    let interfaces = modern
        .get("interfaces")
        .and_then(Value::as_list)
        .unwrap_or_default();
    for (number, value) in interfaces.iter().enumerate() {
        let Some(interface) = value.as_object() else {
            continue;
        };
        let kind = interface
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let is_secure = ["mqtts", "https", "wss"]
            .iter()
            .any(|it| it.eq_ignore_ascii_case(kind));
        let own = interface.get("credentials").is_some();
        if !is_secure || has_any(interface) || !own && has_any(modern) {
            continue;
        }
        let section = match file.get("interfaces") {
            Some(_) => format!("interfaces[{number}]."),
            None => String::new(),
        };
        let expected = format!(
            "a certificate and its key for {kind} (certPath and keyPath, --cert and --key)"
        );
        problems.push(missing(&section, "credentials", value, &expected));
    }
}

/// A certificate and its key need each other.
fn check_pair(section: &str, pair: &Object, problems: &mut Vec<Problem>) {
    match (pair.get("certPath"), pair.get("keyPath")) {
        (Some(certificate), None) => {
            let expected = "the file of the certificate's key";
            problems.push(missing(section, "keyPath", certificate, expected));
        }
        (None, Some(key)) => {
            let expected = "the file of the key's certificate";
            problems.push(missing(section, "certPath", key, expected));
        }
        _ => {}
    }
}

fn check_interface(section: &str, interface: &Value, problems: &mut Vec<Problem>) {
    let Some(interface) = interface.as_object() else {
        return;
    };
    if interface.get("socket").is_some() {
        for key in ["host", "port"] {
            beside(interface, key, section, "socket", problems);
        }
    }
    for key in ["mode", "group"] {
        if let Some(value) = interface
            .get(key)
            .filter(|_| interface.get("socket").is_none())
        {
            let what = format!("is missing beside `{key}`");
            problems.push(Problem::of(format!("{section}socket"), value, what));
        }
    }
    let is_octal = |text| u32::from_str_radix(text, 8).is_ok_and(|mode| mode <= 0o777);
    if let Some(mode) = interface
        .get("mode")
        .filter(|it| it.as_str().is_some_and(|it| !is_octal(it)))
    {
        let what = format!("is {mode}; it has to be octal, as a text: \"0660\"");
        problems.push(Problem::of(format!("{section}mode"), mode, what));
    }
    let path = interface.get("path");
    if let Some(path) = path.filter(|it| it.as_str().is_some_and(|it| !it.starts_with('/'))) {
        problems.push(Problem::of(
            format!("{section}path"),
            path,
            format!("is {path}; it has to begin with /"),
        ));
    }
}

/// What is said in vain because of what else is said.
pub(super) fn without_effect(file: &Value, found: &mut Vec<Problem>) {
    let Some(file) = file.as_object() else { return };
    let in_vain = |key: String, value: &Value, other: &str| {
        Problem::of(key, value, format!("has no effect beside `{other}`"))
    };
    if let Some(section) = file.get("backend").and_then(Value::as_object) {
        backend::without_effect(section, found);
    }
    for key in overruled(file) {
        let value = file.get(key);
        found.extend(value.map(|it| in_vain(key.to_owned(), it, "interfaces")));
    }
    if let Some(secure) = file.get("secure").and_then(Value::as_object) {
        for (key, value) in secure.iter().filter(|(_, value)| !value.is_null()) {
            let other = match key {
                "port" => "interfaces",
                _ => "credentials",
            };
            let other = Some(other).filter(|it| file.get(it).is_some());
            found.extend(other.map(|it| in_vain(format!("secure.{key}"), value, it)));
        }
    }
    for (key, value) in credentials(file) {
        let Some(credentials) = value.as_object() else {
            continue;
        };
        let asked = credentials.get("requestCert").and_then(Value::as_bool);
        if let Some(authorities) = credentials.get("caPaths").filter(|_| asked != Some(true)) {
            let what = "has no effect without requestCert; certificates of intermediate authorities belong \
                        into the file of certPath, behind the server's own";
            found.push(Problem::of(format!("{key}.caPaths"), authorities, what));
        }
    }
}
