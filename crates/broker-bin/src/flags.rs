//! Flags as options, over those of the config file: what each of them means there, and which of them cannot stand
//! beside what the file says.

use mosca_options::{Object, Value};

use crate::args::Args;

/// Why flags make no sense, alone or beside the config file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FlagError {
    /// Files on a port that there is none of.
    #[error("{0} is for a port that nothing asks for: say {1}")]
    NoPort(&'static str, &'static str),
    /// Two lists of interfaces, or two engines.
    #[error("{0} stands beside `{1}` in the config file: two choices at once")]
    Both(&'static str, &'static str),
}

/// A flag, the option that it sets, and what it says.
type Setting = (&'static str, &'static str, Option<Value>);

/// The options with what the flags say over them.
pub(crate) fn with_flags(args: &Args, options: &Value) -> Result<Value, FlagError> {
    let mut options = options.clone();
    let Some(root) = options.as_object() else {
        // What else it is, is said when it is looked at.
        return Ok(options);
    };
    let mut root = root.clone();
    let mut settings: Vec<_> = settings(args).into();
    settings.extend(parents(args));
    settings.extend(listening(args, &root)?);
    if args.tls_files().is_some() {
        set_certificate(args, &mut root);
    }
    choose_parent(args, &mut root)?;
    for (_, key, value) in settings {
        match (key.split_once('.'), value) {
            (_, None) => {}
            (Some((section, key)), Some(value)) => root.change(section, |it| {
                it.insert(key, value);
            }),
            (None, Some(value)) => {
                root.insert(key, value);
            }
        }
    }
    options.data = root.into();
    Ok(options)
}

/// The flag that has set an option.
pub(crate) fn flag_of(args: &Args, key: &str) -> Option<&'static str> {
    let given = settings(args)
        .into_iter()
        .chain(parents(args))
        .chain(ports(args))
        .chain(sites(args));
    let mut given = given.filter(|(_, _, value)| value.is_some());
    given
        .find(|&(_, other, _)| other == key)
        .map(|(flag, ..)| flag)
}

/// The flags that set an option of their own, whatever else is said.
fn settings(args: &Args) -> [Setting; 14] {
    let level = match args {
        Args {
            very_verbose: true, ..
        } => Some("debug"),
        Args { verbose: true, .. } => Some("info"),
        _ => None,
    };
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let number = |number: Option<u64>| number.map(Value::from);
    let path =
        |path: &Option<std::path::PathBuf>| path.as_ref().map(|it| (*it.to_string_lossy()).into());
    [
        ("--broker-id", "id", text(&args.broker_id)),
        (
            "--disable-stats",
            "stats",
            args.disable_stats.then(|| false.into()),
        ),
        ("--host", "host", text(&args.host)),
        (
            "--credentials",
            "authentication.usersFile",
            path(&args.credentials),
        ),
        ("--threads", "threads", number(args.threads.map(u64::from))),
        ("--verbose", "logger.level", level.map(Value::from)),
        (
            "--log-format",
            "logger.format",
            args.log_format.map(|it| it.name().into()),
        ),
        (
            "--max-connections",
            "limits.maxConnections",
            number(args.max_connections),
        ),
        (
            "--max-connections-per-address",
            "limits.maxConnectionsPerAddress",
            number(args.max_connections_per_address),
        ),
        (
            "--max-packet-size",
            "limits.maxPacketSizeBytes",
            number(args.max_packet_size),
        ),
        (
            "--max-sessions",
            "limits.maxSessions",
            number(args.max_sessions),
        ),
        (
            "--max-inflight",
            "limits.maxInflight",
            number(args.max_inflight),
        ),
        (
            "--max-queued-messages",
            "limits.maxQueuedMessages",
            number(args.max_queued_messages),
        ),
        (
            "--only-http",
            "onlyHttp",
            args.only_http.then(|| true.into()),
        ),
    ]
}

/// Those of another broker.
fn parents(args: &Args) -> [Setting; 3] {
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let port = args.parent_port.map(|port| u64::from(port).into());
    [
        ("--parent-host", "backend.host", text(&args.parent_host)),
        ("--parent-port", "backend.port", port),
        (
            "--parent-prefix",
            "backend.prefix",
            text(&args.parent_prefix),
        ),
    ]
}

/// Those that ask for a port.
fn ports(args: &Args) -> [Setting; 5] {
    let port = |port: Option<u16>| port.map(|port| u64::from(port).into());
    [
        ("--port", "port", port(args.port)),
        ("--secure-port", "secure.port", port(args.secure_port)),
        ("--http-port", "http.port", port(args.http_port)),
        ("--https-port", "https.port", port(args.https_port)),
        (
            "--non-secure",
            "allowNonSecure",
            args.non_secure.then(|| true.into()),
        ),
    ]
}

/// Those that say what a port serves beside MQTT.
fn sites(args: &Args) -> [Setting; 4] {
    let path = |path: &std::path::Path| Value::from(&*path.to_string_lossy());
    let bundle = |bundle: &Option<std::path::PathBuf>| bundle.as_deref().map_or(true.into(), path);
    [
        (
            "--http-static",
            "http.static",
            args.http_static.as_deref().map(path),
        ),
        (
            "--http-bundle",
            "http.bundle",
            args.http_bundle.as_ref().map(bundle),
        ),
        (
            "--https-static",
            "https.static",
            args.https_static.as_deref().map(path),
        ),
        (
            "--https-bundle",
            "https.bundle",
            args.https_bundle.as_ref().map(bundle),
        ),
    ]
}

/// The flags that say where to listen, which are of mosca's older form.
fn listening(args: &Args, file: &Object) -> Result<Vec<Setting>, FlagError> {
    let mut all = ports(args).to_vec();
    all.extend(sites(args));
    let only_http = args.only_http.then_some("--only-http");
    let mut given = all
        .iter()
        .filter(|(_, _, value)| value.is_some())
        .map(|&(flag, ..)| flag);
    let first = given.next().or(only_http);
    if let (Some(flag), Some(_)) = (first, file.get("interfaces")) {
        return Err(FlagError::Both(flag, "interfaces"));
    }
    let has_https = args.https_port.is_some() || file.get("https").is_some();
    let only_http = args.only_http || file.get("onlyHttp").and_then(Value::as_bool) == Some(true);
    let has_http =
        args.http_port.is_some() || file.get("http").is_some() || only_http && !has_https;
    for (section, port, is_there) in [
        ("http.", "--http-port", has_http),
        ("https.", "--https-port", has_https),
    ] {
        let mut of_it = sites(args)
            .into_iter()
            .filter(|(_, key, _)| key.starts_with(section));
        let flag = of_it.find(|(_, _, value)| value.is_some());
        if let Some((flag, ..)) = flag.filter(|_| !is_there) {
            return Err(FlagError::NoPort(flag, port));
        }
    }
    Ok(all)
}

/// A host or a port of a parent asks for the engine that is another broker; a prefix is for any engine.
fn choose_parent(args: &Args, root: &mut Object) -> Result<(), FlagError> {
    let host = args.parent_host.as_ref().map(|_| "--parent-host");
    let Some(flag) = host.or(args.parent_port.map(|_| "--parent-port")) else {
        return Ok(());
    };
    let said = |key: &str| root.get("backend")?.as_object()?.get(key);
    let engine = said("type").and_then(Value::as_str);
    if engine.is_some_and(|it| !it.eq_ignore_ascii_case("mqtt")) {
        return Err(FlagError::Both(flag, "backend.type"));
    }
    if said("url").is_some() {
        return Err(FlagError::Both(flag, "backend.url"));
    }
    root.change("backend", |it| {
        it.insert("type", "mqtt");
    });
    Ok(())
}

/// The certificate and its key take the place of those of the file, and ask for TLS. What is asked of clients is
/// another matter, and stays.
fn set_certificate(args: &Args, root: &mut Object) {
    let has_secure = root.get("secure").is_some();
    let section = if root.get("credentials").is_none() && has_secure {
        "secure"
    } else {
        "credentials"
    };
    root.change(section, |credentials| {
        credentials.remove("certificates");
        for (key, path) in [("certPath", &args.cert), ("keyPath", &args.key)] {
            if let Some(path) = path {
                credentials.insert(key, &*path.to_string_lossy());
            }
        }
    });
    if !has_secure && root.get("interfaces").is_none() {
        root.insert("secure", Object::new());
    }
}

#[cfg(test)]
mod tests;
