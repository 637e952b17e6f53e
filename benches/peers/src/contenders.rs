//! Who takes part in the comparison over stores. Behind the comma stands the store: those over the
//! same one are set against each other.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::broker::{self, Broker};
use crate::machine;
use crate::options::{Named, Options};

/// mosca over each of its stores, and what it is told for it.
const MOSCA: [(&str, &[&str]); 6] = [
    ("mosca, disk always", &["--db", "{dir}/store"]),
    (
        "mosca, disk every 100 ms",
        &["--db", "{dir}/store", "--durability", "interval:100"],
    ),
    (
        "mosca, disk when the system likes",
        &["--db", "{dir}/store", "--durability", "os"],
    ),
    (
        "mosca, Redis always",
        &["--persistence", "redis://127.0.0.1:{redis:always}"],
    ),
    (
        "mosca, Redis everysec",
        &["--persistence", "redis://127.0.0.1:{redis:everysec}"],
    ),
    (
        "mosca, MongoDB",
        &[
            "--persistence",
            "mongodb://127.0.0.1:{mongodb}/?replicaSet=rs0",
        ],
    ),
];

/// aedes over the same servers, told to be as careful.
const AEDES: [(&str, &str); 3] = [
    ("aedes, Redis always", "redis://127.0.0.1:{redis:always}"),
    (
        "aedes, Redis everysec",
        "redis://127.0.0.1:{redis:everysec}",
    ),
    (
        "aedes, MongoDB",
        "mongodb://127.0.0.1:{mongodb}/mqtt?replicaSet=rs0&w=majority&journal=true",
    ),
];

/// What mosquitto is told. It writes its file after so many changes, at intervals and at its end.
const MOSQUITTO: [(&str, &str); 2] = [
    ("mosquitto, file at the end", "autosave_interval 1800\n"),
    (
        "mosquitto, file at 1,000 changes",
        "autosave_on_changes true\nautosave_interval 1000\n",
    ),
];

const MOSQUITTO_ALWAYS: &str = "\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {dir}/
log_dest none
log_type none
max_queued_messages 0
max_inflight_messages 1000
set_tcp_nodelay true
user root
";

/// All that can be had: mosca first, and the peers of the command line last. `node` is the folder with
/// the script and the modules of aedes.
pub fn all(options: &Options, mosca: &Path, node: Option<&Path>) -> Result<Vec<Broker>> {
    let mut brokers: Vec<Broker> = MOSCA
        .iter()
        .map(|(name, options)| Broker::mosca_as(name, mosca, options))
        .collect();
    let given = options.mosquitto.as_deref().map(std::path::absolute);
    let mosquitto = given.transpose()?.or_else(|| broker::on_path("mosquitto"));
    match mosquitto {
        Some(program) if !options.no_mosquitto => {
            for (name, told) in MOSQUITTO {
                let text = format!("{MOSQUITTO_ALWAYS}{told}");
                brokers.push(Broker::mosquitto_as(name, &program, &text));
            }
        }
        _ => eprintln!("without mosquitto"),
    }
    match node {
        Some(folder) => {
            for (name, url) in AEDES {
                let script = folder.join("aedes.js").to_string_lossy().into_owned();
                let command = ["node", &script, "{port}", url];
                brokers.push(Broker::named(&Named {
                    name: name.to_owned(),
                    words: command.map(str::to_owned).to_vec(),
                })?);
            }
        }
        None => eprintln!("without aedes: PEERS_NODE does not say where it is"),
    }
    Ok(brokers)
}

/// What is pinned beside the script.
pub fn aedes_version() -> Option<String> {
    let package: Value = serde_json::from_str(include_str!("../node/package.json")).ok()?;
    let modules = package.get("dependencies")?.as_object()?;
    let versions: Vec<String> = modules
        .iter()
        .filter_map(|(name, version)| Some(format!("{name} {}", version.as_str()?)))
        .collect();
    let node = machine::first_line(std::process::Command::new("node").arg("--version"))?;
    Some(format!("{}, Node {node}", versions.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_aedes_is_the_pinned_one() {
        let version = aedes_version();
        assert!(version.is_none_or(|version| version.starts_with("aedes 1.")));
    }
    use crate::page::stores::store_of;

    #[test]
    fn aedes_stands_on_the_same_stores_as_mosca() {
        for (name, _) in AEDES {
            let same = MOSCA
                .iter()
                .any(|(mosca, _)| store_of(mosca) == store_of(name));
            assert!(same, "{name}");
        }
    }
}
