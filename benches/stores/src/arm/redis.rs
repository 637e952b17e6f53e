//! The store in Redis, on a server with `appendonly yes` and `appendfsync always`; and that server by
//! itself. A commit is two commands there: the entry of the queue, of the size that the store writes, and
//! the size of the queue. The commands of all callers are one transaction, sent at once.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use persistence_redis::{RedisOptions, RedisPersistence};
use tempfile::TempDir;
use test_servers::redis::Redis;

use super::{Arm, Opening};

pub struct InRedis {
    server: Redis,
    // On the disk that is meant; behind the server, which writes there until it ends.
    _folder: TempDir,
}

impl InRedis {
    pub fn new(folder: &Path) -> Self {
        let folder = tempfile::tempdir_in(folder).expect("a folder");
        let path = folder.path().to_str().expect("a folder with a plain name");
        Self {
            server: Redis::durable().option("dir", path).start(),
            _folder: folder,
        }
    }
}

impl Arm for InRedis {
    fn open(&self) -> Opening<'_> {
        Box::pin(async {
            let options = RedisOptions::from_url(&self.server.url()).expect("an address");
            let store = RedisPersistence::connect(options).await;
            Arc::new(store.unwrap_or_else(|error| panic!("{error}"))) as _
        })
    }

    fn raw(&self, callers: usize, time: Duration) -> Option<f64> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.server.port())).expect("Redis");
        connection.set_nodelay(true).expect("an option");
        let mut answers = BufReader::new(connection.try_clone().expect("a socket"));
        let start = Instant::now();
        let (mut commits, mut number) = (0, 0_u64);
        let (mut group, mut expected) = (Vec::new(), Vec::new());
        while start.elapsed() < time {
            group.clear();
            // `OK` for MULTI, `QUEUED` for each command, and behind EXEC the answers: one entry was
            // added, and the size of this queue is now so many bytes.
            expected.clear();
            expected.extend_from_slice(b"+OK\r\n");
            push(&mut group, &[b"MULTI"]);
            push(
                &mut group,
                &[b"SET", b"{raw}:writer", &number.to_be_bytes()],
            );
            for caller in 0..callers {
                let client = format!("client-{caller:07}");
                let queue = format!("{{raw}}:queue:{client}");
                let mut entry = [7; 160];
                entry[..8].copy_from_slice(&number.to_be_bytes());
                push(&mut group, &[b"ZADD", queue.as_bytes(), b"0", &entry]);
                push(
                    &mut group,
                    &[b"HINCRBY", b"{raw}:bytes", client.as_bytes(), b"117"],
                );
            }
            push(&mut group, &[b"EXEC"]);
            number += 1;
            let queued = b"+QUEUED\r\n".repeat(1 + 2 * callers);
            expected.extend_from_slice(&queued);
            expected.extend_from_slice(format!("*{}\r\n+OK\r\n", 1 + 2 * callers).as_bytes());
            let each = format!(":1\r\n:{}\r\n", 117 * number);
            expected.extend_from_slice(each.repeat(callers).as_bytes());
            connection.write_all(&group).expect("to send");
            let mut answer = vec![0; expected.len()];
            answers.read_exact(&mut answer).expect("an answer");
            assert!(answer == expected, "{}", String::from_utf8_lossy(&answer));
            commits += callers;
        }
        Some(commits as f64 / start.elapsed().as_secs_f64())
    }

    fn spent(&self, commits: u64) -> Option<String> {
        let number = |name| self.server.info(name)?.parse::<f64>().ok();
        let seconds = number("used_cpu_user")? + number("used_cpu_sys")?;
        let stats = self.server.command(&["INFO", "commandstats"]);
        let writes = stats
            .lines()
            .find(|line| line.starts_with("cmdstat_evalsha:"))?;
        let groups = writes.split(['=', ',']).nth(1)?.parse::<f64>().ok()?;
        Some(format!(
            "{:.1} us of the server's CPU each, {:.0} in a transaction",
            seconds * 1e6 / commits as f64,
            commits as f64 / groups
        ))
    }
}

/// Adds a command as it goes over the wire.
fn push(group: &mut Vec<u8>, words: &[&[u8]]) {
    let _ = write!(group, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(group, "${}\r\n", word.len());
        group.extend_from_slice(word);
        group.extend_from_slice(b"\r\n");
    }
}
