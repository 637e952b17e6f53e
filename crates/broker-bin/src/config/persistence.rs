//! The section `persistence`: which store, with mosca's names for stores and their options.

use std::path::PathBuf;

use super::section::{Section, SectionError};
use super::{Keeping, PersistenceSection};
use crate::store::{Durability, StoreChoice, StoreUrl, percent_encoded};

/// The stores by the names of mosca, and by those that `--persistence` has.
#[derive(Clone, Copy)]
enum Factory {
    Memory,
    Fjall,
    Redis,
    Mongo,
}

const FACTORIES: [(&str, Factory); 6] = [
    ("memory", Factory::Memory),
    ("levelup", Factory::Fjall),
    ("redis", Factory::Redis),
    ("mongo", Factory::Mongo),
    ("fjall", Factory::Fjall),
    ("mongodb", Factory::Mongo),
];

/// A hundred years in milliseconds: longer times are mistakes.
const MILLIS_MAX: u64 = 100 * 365 * 24 * 3_600 * 1_000;

/// Reads the section to its end.
pub(super) fn read(
    mut section: Section<'_>,
    without_effect: &mut Vec<String>,
) -> Result<PersistenceSection, SectionError> {
    let factory = section
        .one_of("factory", &FACTORIES)?
        .ok_or_else(|| section.missing("factory", "one of memory, levelup, redis, mongo"))?;
    let store = match factory {
        Factory::Memory => StoreChoice::Memory,
        Factory::Fjall => fjall(&mut section)?,
        Factory::Redis => redis(&mut section, without_effect)?,
        Factory::Mongo => mongo(&mut section, without_effect)?,
    };
    let mut keeping = ttl(&mut section, without_effect)?;
    keeping.queue_qos_0 = section.boolean("storeMessagesQos0")?;
    if let Factory::Mongo = factory {
        // Counts before `ttl.packets`, as in mosca.
        let timeout = seconds(&mut section, "offlineMessageTimeout")?;
        keeping.queued_message_expiry_secs = timeout.or(keeping.queued_message_expiry_secs);
    }
    section.finish()?;
    Ok(PersistenceSection { store, keeping })
}

fn fjall(section: &mut Section<'_>) -> Result<StoreChoice, SectionError> {
    let path = section
        .string("path")?
        .ok_or_else(|| section.missing("path", "the folder that the store is to have"))?;
    let durability = section.parsed::<Durability>(
        "durability",
        "always, os or interval:MS with 1 to 60000 ms, as a text",
    )?;
    Ok(StoreChoice::Fjall {
        path: PathBuf::from(path),
        durability: durability.unwrap_or_default(),
    })
}

/// A time in milliseconds, as seconds, and never shorter.
fn seconds(section: &mut Section<'_>, key: &'static str) -> Result<Option<u32>, SectionError> {
    let millis = section.integer(key, 1..=MILLIS_MAX, " ms")?;
    Ok(millis.map(|millis| u32::try_from(millis.div_ceil(1_000)).unwrap_or(u32::MAX)))
}

/// `ttl`: for how long sessions and messages are kept.
fn ttl(
    section: &mut Section<'_>,
    without_effect: &mut Vec<String>,
) -> Result<Keeping, SectionError> {
    let Some(mut ttl) = section.section("ttl")? else {
        return Ok(Keeping::default());
    };
    let keeping = Keeping {
        session_expiry_secs: seconds(&mut ttl, "subscriptions")?,
        queued_message_expiry_secs: seconds(&mut ttl, "packets")?,
        queue_qos_0: None,
    };
    if seconds(&mut ttl, "checkFrequency")?.is_some() {
        without_effect.push(format!(
            "{} has no effect: what has expired is found without a search",
            ttl.name("checkFrequency")
        ));
    }
    ttl.finish()?;
    Ok(keeping)
}

/// What an address of Redis is put together from.
#[derive(Default)]
struct RedisParts<'a> {
    host: Option<&'a str>,
    port: Option<u16>,
    database: Option<u64>,
    user: Option<&'a str>,
    password: Option<&'a str>,
    tls: bool,
    key_prefix: Option<&'a str>,
    /// Hosts with their ports, and the name of the service.
    sentinels: Option<(String, &'a str)>,
}

impl<'a> RedisParts<'a> {
    /// Options that stand both in the section itself and in `redisOptions`; the inner ones win, as
    /// they do in mosca.
    fn read(&mut self, section: &mut Section<'a>) -> Result<(), SectionError> {
        self.host = section.string("host")?.or(self.host);
        self.port = section.port("port")?.or(self.port);
        let database = section.integer("db", 0..=u64::from(u32::MAX), "")?;
        self.database = database.or(self.database);
        self.password = section.string("password")?.or(self.password);
        Ok(())
    }

    /// Those of `redisOptions` alone, which are ioredis' own.
    fn read_inner(&mut self, inner: &mut Section<'a>) -> Result<(), SectionError> {
        self.read(inner)?;
        self.user = inner.string("username")?;
        self.tls = inner.boolean("tls")?.unwrap_or(false);
        self.key_prefix = inner.string("keyPrefix")?;
        let mut hosts = Vec::new();
        for mut sentinel in inner.sections("sentinels")? {
            let host = sentinel.string("host")?.unwrap_or("127.0.0.1");
            let port = sentinel.port("port")?.unwrap_or(26_379);
            hosts.push(format!("{}:{port}", bracketed(host)));
            sentinel.finish()?;
        }
        let name = inner.string("name")?;
        if !hosts.is_empty() {
            let name = name.ok_or_else(|| {
                inner.missing("name", "the name of the service that the sentinels watch")
            })?;
            self.sentinels = Some((hosts.join(","), name));
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.host.is_none()
            && self.port.is_none()
            && self.database.is_none()
            && self.password.is_none()
            && self.sentinels.is_none()
            && self.user.is_none()
            && self.key_prefix.is_none()
            && !self.tls
    }

    fn url(&self) -> Result<StoreUrl, crate::store::UrlError> {
        let database = self
            .database
            .map_or_else(String::new, |database| format!("/{database}"));
        let user = self.user.unwrap_or_default();
        let prefix = self.key_prefix.map_or_else(String::new, |prefix| {
            format!("?prefix={}", percent_encoded(prefix))
        });
        let redis = if self.tls { "rediss" } else { "redis" };
        if let Some((hosts, name)) = &self.sentinels {
            let scheme = format!("{redis}+sentinel");
            let path = format!("/{}{database}{prefix}", percent_encoded(name));
            return StoreUrl::from_parts(&scheme, user, self.password, hosts, &path);
        }
        let host = bracketed(self.host.unwrap_or("127.0.0.1"));
        let host = format!("{host}:{}", self.port.unwrap_or(6_379));
        let path = format!("{database}{prefix}");
        StoreUrl::from_parts(redis, user, self.password, &host, &path)
    }
}

/// An IPv6 address in the brackets that it needs in front of a port.
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

fn redis(
    section: &mut Section<'_>,
    without_effect: &mut Vec<String>,
) -> Result<StoreChoice, SectionError> {
    let mut parts = RedisParts::default();
    parts.read(section)?;
    // The second name is the one in mosca's documentation.
    for key in ["redisOptions", "redisOpts"] {
        if let Some(mut inner) = section.section(key)? {
            parts.read_inner(&mut inner)?;
            inner.finish()?;
        }
    }
    if section.string("channel")?.is_some() {
        without_effect.push(format!(
            "{} has no effect: nothing is announced to other brokers through a channel",
            section.name("channel")
        ));
    }
    match section.string("url")? {
        None => match parts.url() {
            Ok(url) => Ok(StoreChoice::Redis(url)),
            Err(error) => Err(section.conflict("host", format!("makes no address: {error}"))),
        },
        Some(_) if !parts.is_empty() => Err(section.conflict(
            "url",
            "stands beside host, port, db, password or redisOptions: two choices at once",
        )),
        Some(url) => match url.parse::<StoreChoice>() {
            Ok(choice @ StoreChoice::Redis(_)) => Ok(choice),
            Ok(other) => Err(section.conflict("url", wrong_store(&other, "redis"))),
            Err(error) => Err(section.conflict("url", format!("is wrong: {error}"))),
        },
    }
}

fn mongo(
    section: &mut Section<'_>,
    without_effect: &mut Vec<String>,
) -> Result<StoreChoice, SectionError> {
    if section.boolean("autoClose")?.is_some() {
        without_effect.push(format!(
            "{} has no effect: the connection is the broker's own",
            section.name("autoClose")
        ));
    }
    if let Some(mut driver) = section.section("mongo")? {
        for key in ["safe", "useNewUrlParser", "useUnifiedTopology"] {
            if driver.has(key) {
                let name = driver.name(key);
                without_effect.push(format!("{name} has no effect: it is always so"));
            }
        }
        driver.finish().map_err(|error| match error {
            SectionError::Unknown { key, .. } => SectionError::Conflict {
                key,
                reason: "is an option of the driver: it belongs into the url, as in \
                         mongodb://host/mosca?maxPoolSize=5"
                    .to_owned(),
            },
            other => other,
        })?;
    }
    let url = section
        .string("url")?
        .ok_or_else(|| section.missing("url", "an address such as mongodb://127.0.0.1/mosca"))?;
    match url.parse::<StoreChoice>() {
        Ok(choice @ StoreChoice::Mongo(_)) => Ok(choice),
        Ok(other) => Err(section.conflict("url", wrong_store(&other, "mongo"))),
        Err(error) => Err(section.conflict("url", format!("is wrong: {error}"))),
    }
}

fn wrong_store(found: &StoreChoice, factory: &str) -> String {
    format!("names {found}, and the factory is {factory}: two choices at once")
}
