//! The servers come, keep what they are told to keep, and go.

use std::process::{Command, Stdio};

use test_servers::redis::{Redis, RedisCluster, RedisSentinel};
use test_servers::wait_until;

fn is_alive(id: u32) -> bool {
    // One that has ended and was not waited for still has an entry, as a zombie.
    std::fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn what_a_durable_server_was_told_is_there_after_it_was_killed() {
    let mut server = Redis::durable().start();
    let port = server.port();
    server.command(&["SET", "key", "value"]);
    server.kill();
    assert!(server.try_command(&["PING"]).is_err());
    server.start_again();
    assert_eq!(
        (server.command(&["GET", "key"]), server.port()),
        ("value".to_owned(), port)
    );
    assert_eq!(server.info("aof_enabled").as_deref(), Some("1"));
}

#[test]
fn a_server_goes_with_its_folder() {
    let server = Redis::new().start();
    let (id, folder) = (server.id(), server.folder().to_owned());
    assert!(is_alive(id) && folder.is_dir());
    drop(server);
    assert!(!is_alive(id) && !folder.exists());
}

#[test]
fn a_password_is_asked_for() {
    let server = Redis::new().password("secret").start();
    assert_eq!(server.command(&["PING"]), "PONG");
    let open = Redis::new().start();
    assert!(open.try_command(&["AUTH", "secret"]).is_err());
}

#[test]
fn the_replica_takes_over() {
    let mut both = RedisSentinel::start(Redis::durable());
    assert_eq!(both.primary_port(), Some(both.servers[0].port()));
    both.servers[0].command(&["SET", "key", "value"]);
    // WAIT would be of another connection, which has written nothing and so waits for nothing.
    wait_until("the replica to hear of it", || {
        both.servers[1].command(&["GET", "key"]) == "value"
    });
    assert_eq!(both.fail_over(), 0);
    assert_eq!(both.primary_port(), Some(both.servers[1].port()));
    assert_eq!(both.servers[1].command(&["GET", "key"]), "value");
}

#[test]
fn three_nodes_share_the_slots() {
    let mut cluster = RedisCluster::start(Redis::durable());
    let moved = cluster
        .nodes
        .iter()
        .filter(|node| node.try_command(&["SET", "key", "value"]).is_err())
        .count();
    assert_eq!(moved, 2, "one node has the slot");
    cluster.nodes[1].kill();
    cluster.nodes[1].start_again();
    cluster.await_ok();
}

/// The process in the middle: a test process of its own, which is killed.
#[test]
fn a_server_goes_with_a_test_that_is_killed() {
    const INNER: &str = "MOSCA_TEST_SERVERS_INNER";
    if let Some(file) = std::env::var_os(INNER) {
        let server = Redis::new().start();
        let text = format!("{} {}", server.id(), server.folder().display());
        std::fs::write(&file, text).unwrap();
        loop {
            std::thread::park();
        }
    }
    let place = test_servers::Folder::new("inner");
    let file = place.path().join("server");
    let mut inner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_server_goes_with_a_test_that_is_killed"])
        .env(INNER, &file)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut found = None;
    wait_until("the server of the inner test", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        found = text
            .split_once(' ')
            .map(|(id, folder)| (id.parse::<u32>().unwrap(), std::path::PathBuf::from(folder)));
        found.as_ref().is_some_and(|(_, folder)| folder.is_dir())
    });
    let (id, folder) = found.unwrap();
    assert!(is_alive(id));
    inner.kill().unwrap();
    inner.wait().unwrap();
    wait_until("the server to be ended", || {
        !is_alive(id) && !folder.exists()
    });
}
