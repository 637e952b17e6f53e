//! Redis and MongoDB for brokers that keep their sessions there: a server of its own for each run, on
//! this machine, as durable as its placeholder says.

use test_servers::mongod::Mongod;
use test_servers::redis::Redis;

type Start = fn() -> Server;

/// What stands in a command for the port of a server that is to be started for it.
const PLACEHOLDERS: [(&str, Start); 3] = [
    ("{redis:always}", || Server::Redis(Redis::durable().start())),
    ("{redis:everysec}", || {
        let second = Redis::new()
            .option("appendonly", "yes")
            .option("appendfsync", "everysec");
        Server::Redis(second.start())
    }),
    ("{mongodb}", || Server::Mongod(Mongod::new().start())),
];

#[derive(Debug)]
enum Server {
    Redis(Redis),
    Mongod(Mongod),
}

impl Server {
    fn port(&self) -> u16 {
        match self {
            Self::Redis(server) => server.port(),
            Self::Mongod(server) => server.port(),
        }
    }

    fn process(&self) -> u32 {
        match self {
            Self::Redis(server) => server.id(),
            Self::Mongod(server) => server.id(),
        }
    }
}

/// The servers of one broker; dropping them ends them.
#[derive(Debug, Default)]
pub struct Services {
    running: Vec<(&'static str, Server)>,
}

impl Services {
    /// Starts those that are named in a command.
    ///
    /// # Panics
    /// If one cannot be started.
    pub fn start(words: &[String]) -> Self {
        let named = |placeholder: &str| words.iter().any(|word| word.contains(placeholder));
        let wanted = PLACEHOLDERS.iter().filter(|(name, _)| named(name));
        Self {
            running: wanted.map(|(name, start)| (*name, start())).collect(),
        }
    }

    /// Writes their ports into a text.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (placeholder, server) in &self.running {
            filled = filled.replace(placeholder, &server.port().to_string());
        }
        filled
    }

    /// Their processes.
    pub fn processes(&self) -> impl Iterator<Item = u32> {
        self.running.iter().map(|(_, server)| server.process())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_gets_the_servers_that_it_names() {
        let words = ["broker", "redis://127.0.0.1:{redis:always}/2"].map(str::to_owned);
        let services = Services::start(&words);
        let filled = services.fill(&words[1]);
        let port = filled
            .strip_prefix("redis://127.0.0.1:")
            .and_then(|rest| rest.strip_suffix("/2"))
            .and_then(|port| port.parse().ok())
            .unwrap();
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        assert_eq!(services.processes().count(), 1);
        assert_eq!(services.fill("none"), "none");
        assert_eq!(
            Services::start(&["broker".to_owned()]).processes().count(),
            0
        );
    }
}
