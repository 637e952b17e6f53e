//! The section `persistence`: which store, with mosca's names for stores and their options.

use mosca_options::Problem;

use super::section::Section;
use crate::server_url::{ServerUrl, UrlError, bracketed, percent_encoded};
use crate::store::{Durability, StoreChoice};

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

/// Reads the section; an address that is none is a problem.
pub(super) fn read(section: &Section<'_>) -> Result<StoreChoice, Problem> {
    let factory = section
        .word("factory", &FACTORIES)
        .unwrap_or(Factory::Memory);
    match factory {
        Factory::Memory => Ok(StoreChoice::Memory),
        Factory::Fjall => fjall(section),
        Factory::Redis => redis(section),
        Factory::Mongo => mongo(section),
    }
}

fn fjall(section: &Section<'_>) -> Result<StoreChoice, Problem> {
    let durability = section.text("durability").map(str::parse::<Durability>);
    let durability = durability.transpose();
    Ok(StoreChoice::Fjall {
        path: section.path("path").unwrap_or_default(),
        durability: durability
            .map_err(|error| section.problem("durability", format!("is wrong: {error}")))?
            .unwrap_or_default(),
    })
}

/// What an address of Redis is put together from.
#[derive(Default)]
struct RedisParts<'a> {
    host: Option<&'a str>,
    port: Option<u16>,
    database: Option<u32>,
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
    fn read(&mut self, section: &Section<'a>) {
        self.host = section.text("host").or(self.host);
        self.port = section.number("port").or(self.port);
        self.database = section.number("db").or(self.database);
        self.password = section.text("password").or(self.password);
    }

    /// Those of `redisOptions` alone, which are ioredis' own.
    fn read_inner(&mut self, inner: &Section<'a>) {
        self.read(inner);
        self.user = inner.text("username");
        self.tls = inner.flag("tls").unwrap_or(false);
        self.key_prefix = inner.text("keyPrefix");
        let hosts = inner.sections("sentinels").into_iter().map(|sentinel| {
            let host = sentinel.text("host").unwrap_or("127.0.0.1");
            let port: u16 = sentinel.number("port").unwrap_or(26_379);
            format!("{}:{port}", bracketed(host))
        });
        let hosts: Vec<_> = hosts.collect();
        let name = inner.text("name").filter(|_| !hosts.is_empty());
        self.sentinels = name.map(|name| (hosts.join(","), name));
    }

    fn url(&self) -> Result<ServerUrl, UrlError> {
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
            return ServerUrl::from_parts(&scheme, user, self.password, hosts, &path);
        }
        let host = bracketed(self.host.unwrap_or("127.0.0.1"));
        let host = format!("{host}:{}", self.port.unwrap_or(6_379));
        let path = format!("{database}{prefix}");
        ServerUrl::from_parts(redis, user, self.password, &host, &path)
    }
}

fn redis(section: &Section<'_>) -> Result<StoreChoice, Problem> {
    if let Some(url) = section.text("url") {
        // mosca's documentation has addresses of a host and a port alone.
        let is_whole = url.contains("://");
        let scheme = if is_whole { "" } else { "redis://" };
        return match format!("{scheme}{url}").parse::<StoreChoice>() {
            Ok(choice @ StoreChoice::Redis(_)) => Ok(choice),
            other => Err(wrong_url(section, other, "redis")),
        };
    }
    let mut parts = RedisParts::default();
    parts.read(section);
    // The second name is the one in mosca's documentation.
    for key in ["redisOptions", "redisOpts"] {
        if let Some(inner) = section.section(key) {
            parts.read_inner(&inner);
        }
    }
    let url = parts.url();
    url.map(StoreChoice::Redis)
        .map_err(|error| section.problem("host", format!("makes no address: {error}")))
}

fn mongo(section: &Section<'_>) -> Result<StoreChoice, Problem> {
    match section.text("url").unwrap_or_default().parse() {
        Ok(choice @ StoreChoice::Mongo(_)) => Ok(choice),
        other => Err(wrong_url(section, other, "mongo")),
    }
}

fn wrong_url(
    section: &Section<'_>,
    found: Result<StoreChoice, crate::store::ChoiceError>,
    factory: &str,
) -> Problem {
    let what = match found {
        Ok(found) => {
            format!("names {found}, and the factory is {factory}: two choices at once")
        }
        Err(error) => format!("is wrong: {error}"),
    };
    section.problem("url", what)
}
