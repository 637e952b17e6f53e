//! From mosca's older form to the newer one, and the defaults.

use crate::definition::{Definition, Kind};
use crate::parse::Format;
use crate::table::FILE;
use crate::validate::variant;
use crate::value::{Data, Object, Value};

/// The same options with `interfaces` instead of `port`, `secure`, `http`, `https`, `onlyHttp` and
/// `allowNonSecure`, and with `limits.maxInflight` instead of `maxInflightMessages`. What is of the newer form
/// already stays as it is, and so does what means nothing: whether all of it is right is for
/// [`validate`](crate::validate()).
///
/// As in mosca, `secure` takes the place of MQTT without TLS unless `allowNonSecure` is said, and its
/// certificates are those of all interfaces unless there are `credentials`. Beyond mosca, what it says of clients'
/// certificates counts too, and `onlyHttp` without `http` and `https` is `http` at its port.
///
/// ```
/// use mosca_options::{Format, modernize};
///
/// let legacy = Format::Json.parse(r#"{ "port": 1884, "http": { "port": 3000 } }"#)?;
/// let modern = Format::Json.parse(
///     r#"{ "interfaces": [{ "type": "mqtt", "port": 1884 }, { "type": "http", "port": 3000 }] }"#,
/// )?;
/// assert_eq!(modernize(&legacy), modern);
/// # Ok::<_, mosca_options::SyntaxError>(())
/// ```
pub fn modernize(file: &Value) -> Value {
    let Data::Object(options) = &file.data else {
        return file.clone();
    };
    let mut options = options.clone();
    let interfaces = interfaces(&mut options);
    if options.get("interfaces").is_none() {
        options.insert("interfaces", interfaces);
    }
    if let Some(messages) = options.remove("maxInflightMessages") {
        options.change("limits", |limits| {
            limits.insert("maxInflight", messages);
        });
    }
    Value {
        data: options.into(),
        line: file.line,
    }
}

/// Takes out what is of the older form, and says what interfaces that makes, in mosca's order.
fn interfaces(options: &mut Object) -> Vec<Value> {
    let mut flag = |key| {
        options
            .remove(key)
            .and_then(|it| it.as_bool())
            .unwrap_or(false)
    };
    let (only_http, non_secure) = (flag("onlyHttp"), flag("allowNonSecure"));
    let (port, max_connections) = (options.remove("port"), options.remove("maxConnections"));
    let [secure, http, https] = ["secure", "http", "https"].map(|key| options.remove(key));
    let mut all = Vec::new();
    if !only_http && (secure.is_none() || non_secure) {
        let plain = [("port", port), ("maxConnections", max_connections)];
        let plain = plain
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        all.push(interface("mqtt", plain.collect(), None));
    }
    if let Some(Value {
        data: Data::Object(mut secure),
        line,
    }) = secure
    {
        let port = secure.remove("port").map(|port| ("port", port));
        if !only_http {
            all.push(interface("mqtts", port.into_iter().collect(), line));
        }
        if options.get("credentials").is_none() && !secure.is_empty() {
            let data = secure.into();
            options.insert("credentials", Value { data, line });
        }
    }
    let http = http.or_else(|| (only_http && https.is_none()).then(|| Object::new().into()));
    for (kind, section) in [("http", http), ("https", https)] {
        if let Some(Value {
            data: Data::Object(section),
            line,
        }) = section
        {
            all.push(interface(kind, section, line));
        }
    }
    all
}

fn interface(kind: &str, options: Object, line: Option<usize>) -> Value {
    let tag = [("type", Value::from(kind))].into_iter();
    let options = options.iter().map(|(key, value)| (key, value.clone()));
    let data = Data::Object(tag.chain(options).collect());
    Value { data, line }
}

/// The same options in the newer form with a value for each option that has a default, as far as nothing is
/// said: what a server is started with. An interface gets the default port of its type. Objects without a
/// default, such as `credentials`, stay away if they are; once they are there their options get defaults, too. What
/// mosca's stores are told to keep, and for how long, is a limit in the end.
///
/// ```
/// use mosca_options::{Format, populate};
///
/// let options = populate(&Format::Json.parse("{}")?);
/// let options = options.as_object().unwrap();
/// let interfaces = options.get("interfaces").unwrap().as_list().unwrap();
/// let port = interfaces[0].as_object().unwrap().get("port").unwrap();
/// assert_eq!(port.as_u64(), Some(1_883));
/// # Ok::<_, mosca_options::SyntaxError>(())
/// ```
pub fn populate(file: &Value) -> Value {
    let mut file = modernize(file);
    if let Data::Object(options) = &mut file.data {
        move_limits(options);
    }
    fill(&mut file, Kind::Section(FILE));
    file
}

/// `ttl`, `offlineMessageTimeout` and `storeMessagesQos0` of `persistence`, which are milliseconds and a flag, to `limits`.
fn move_limits(options: &mut Object) {
    let Some(mut persistence) = options.remove("persistence") else {
        return;
    };
    if let Data::Object(store) = &mut persistence.data {
        let mut ttl = store.remove("ttl");
        let mut of_ttl = |key| match &mut ttl.as_mut()?.data {
            Data::Object(ttl) => ttl.remove(key),
            _ => None,
        };
        let (sessions, packets) = (of_ttl("subscriptions"), of_ttl("packets"));
        // As in mosca.
        let packets = store.remove("offlineMessageTimeout").or(packets);
        for (limit, value) in [
            ("legacySessionExpirySecs", sessions.map(seconds)),
            ("queuedMessageExpirySecs", packets.map(seconds)),
            ("queueQos0", store.remove("storeMessagesQos0")),
        ] {
            if let Some(value) = value {
                options.change("limits", |limits| {
                    limits.insert(limit, value);
                });
            }
        }
        if let Some(ttl) = ttl {
            store.insert("ttl", ttl);
        }
    }
    options.insert("persistence", persistence);
}

/// Milliseconds as seconds, and never shorter.
fn seconds(millis: Value) -> Value {
    let seconds = millis.as_u64().map(|it| it.div_ceil(1_000));
    let most = u64::from(u32::MAX);
    let data = seconds.map_or(millis.data, |it| it.min(most).into());
    Value {
        data,
        line: millis.line,
    }
}

fn fill(value: &mut Value, kind: Kind) {
    match (kind, &mut value.data) {
        (Kind::Section(section), Data::Object(object)) => fill_section(object, section()),
        (Kind::Choice(choice), Data::Object(object)) => {
            if let Some(name) = choice.default.filter(|_| object.get(choice.tag).is_none()) {
                object.insert(choice.tag, name);
            }
            let section = variant(choice, object).and_then(|it| it.options.ok());
            if let Some(section) = section {
                fill_section(object, section());
            }
        }
        (Kind::List(each), Data::List(list)) => list.iter_mut().for_each(|it| fill(it, *each)),
        (Kind::FlagOr(inner) | Kind::FalseOr(inner), _) => fill(value, *inner),
        _ => {}
    }
}

fn fill_section(object: &mut Object, definitions: &[Definition]) {
    // A Unix socket has no port.
    let has_socket = object.get("socket").is_some();
    for definition in definitions.iter().filter(|it| !it.is_legacy) {
        let name = definition.name;
        let mut value = object.remove(name);
        if value.is_none() && !(has_socket && name == "port") {
            value = definition.default_value();
        }
        if let Some(mut value) = value {
            fill(&mut value, definition.kind);
            object.insert(name, value);
        }
    }
}

impl Definition {
    /// What it is if nobody says.
    pub(crate) fn default_value(&self) -> Option<Value> {
        self.default.and_then(parsed)
    }

    /// What it could be.
    pub(crate) fn example_value(&self) -> Option<Value> {
        self.example.and_then(parsed)
    }
}

/// A value of the table of options; that all of them can be read is tested.
fn parsed(json: &str) -> Option<Value> {
    Format::Json.parse(json).ok().map(Value::without_lines)
}

#[cfg(test)]
mod tests;
