//! MQTT.js in pages of a real Chromium, which come from the command's own interfaces for HTTP and HTTPS, as
//! does the MQTT.js in them. `cargo xtask test` installs Chromium, and fetches MQTT.js; without them these
//! tests fail.
//!
//! `site/course.js` is what the pages do, `page.rs` opens them, `site.rs` serves them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "all of this is a test, and uses only a part of what the real clients need"
)]

#[path = "../real_clients/mqttjs.rs"]
mod mqttjs;
#[path = "../real_clients/process.rs"]
mod process;

mod bundle;
mod front_page;
mod page;
mod site;

use page::{NAME, Page};
use serde_json::json;
use site::{Scheme, Site};
use test_servers::free_port;

#[test]
fn every_version_at_every_quality_of_service_over_ws() {
    every_version(&Site::start(Scheme::Http), "ws");
}

#[test]
fn every_version_at_every_quality_of_service_over_wss() {
    every_version(&Site::start(Scheme::Https), "wss");
}

fn every_version(site: &Site, scheme: &str) {
    let mut page = Page::open(site, "run=versions");
    for (version, subprotocol) in [("3.1", "mqttv3.1"), ("3.1.1", "mqtt"), ("5", "mqtt")] {
        let expected = json!({
            "event": "version",
            "version": version,
            "url": format!("{scheme}://127.0.0.1:{}/", site.port),
            "subprotocol": subprotocol,
            // Chromium offers to compress.
            "extensions": "",
            "arrived": [["page/0", "at 0", 0], ["page/1", "at 1", 1], ["page/2", "at 2", 2]],
        });
        assert_eq!(page.event(), expected);
    }
    page.close();
}

/// As in mosca's example. Without arguments, MQTT.js 5 takes the host of the page, and port 80.
#[test]
fn a_page_at_port_80_connects_without_arguments() {
    let site = Site::start(Scheme::Http);
    bare(&site, &format!("http://{NAME}/?run=bare&way=nothing"));
}

/// MQTT.js has to be told of TLS, but of nothing else: it takes the host of the page, and port 443.
#[test]
fn a_page_at_port_443_connects_without_a_host() {
    let site = Site::start(Scheme::Https);
    bare(&site, &format!("https://{NAME}/?run=bare&way=protocol"));
}

fn bare(site: &Site, url: &str) {
    let mut page = Page::open_url(site, url);
    let expected = json!({ "event": "bare", "topic": "presence", "payload": "hello" });
    assert_eq!(page.event(), expected);
    page.close();
}

#[test]
fn every_byte_and_a_mebibyte_arrive_over_ws() {
    bytes(&Site::start(Scheme::Http));
}

#[test]
fn every_byte_and_a_mebibyte_arrive_over_wss() {
    bytes(&Site::start(Scheme::Https));
}

fn bytes(site: &Site) {
    let mut page = Page::open(site, "run=bytes");
    for length in [0, 256, 1 << 16, 1 << 20] {
        let expected = json!({ "event": "bytes", "length": length, "qos": 2 });
        assert_eq!(page.event(), expected);
    }
    page.close();
}

#[test]
fn frames_may_end_within_packets_and_hold_many() {
    let site = Site::start(Scheme::Http);
    let mut page = Page::open(&site, "run=frames");
    let mut frames = [("split", 0), ("joined", 0)];
    for (way, frames) in &mut frames {
        let event = page.event();
        assert_eq!(event["way"], *way);
        assert_eq!(event["numbers"], json!(Vec::from_iter(0..10)), "{way}");
        *frames = event["frames"].as_u64().unwrap();
    }
    let [(_, split), (_, joined)] = frames;
    // What is sent is CONNECT, SUBSCRIBE, ten of PUBLISH and PUBACK each, and DISCONNECT: 23 packets.
    assert!(split > 50, "{split} frames of three bytes");
    assert!(joined < 23, "{joined} frames for 23 packets");
    page.close();
}

#[test]
fn a_page_comes_back_after_the_broker_was_restarted() {
    for scheme in [Scheme::Http, Scheme::Https] {
        let mut site = Site::start_at(scheme, free_port());
        let mut page = Page::open(&site, "run=reconnect");
        assert_eq!(page.event(), json!({ "event": "ready" }));
        site.stop();
        // Server shutting down.
        let goodbye = json!({ "event": "disconnect", "reasonCode": 0x8b });
        assert_eq!(page.event(), goodbye);
        assert_eq!(page.event(), json!({ "event": "closed" }));
        site.start_again();
        let back = json!({ "event": "back", "payload": "after" });
        assert_eq!(page.event(), back);
        page.close();
    }
}

#[test]
fn who_closes_a_page_leaves_its_will() {
    let site = Site::start(Scheme::Http);
    let mut stays = Page::open(&site, "run=stay");
    assert_eq!(stays.event(), json!({ "event": "ready" }));
    let mut leaves = Page::open(&site, "run=leave");
    assert_eq!(leaves.event(), json!({ "event": "ready" }));
    leaves.leave();
    let left = json!({ "event": "left", "topic": "wills/page", "payload": "gone" });
    assert_eq!(stays.event(), left);
    stays.close();
}

#[test]
fn pages_of_other_origins_are_refused() {
    let port = free_port();
    let origins = json!({ "origins": [format!("http://localhost:{port}")] });
    let site = Site::start_with(Scheme::Http, port, &origins);
    for (host, outcome) in [("localhost", "connected"), ("127.0.0.1", "refused")] {
        let mut page = Page::open_url(&site, &format!("http://{host}:{port}/?run=door&paths=/"));
        let expected = json!({ "event": "door", "path": "/", "outcome": outcome });
        assert_eq!(page.event(), expected, "{host}");
        page.close();
    }
}

#[test]
fn only_at_its_path_is_there_a_broker() {
    for scheme in [Scheme::Http, Scheme::Https] {
        let site = Site::start_with(scheme, 0, &json!({ "path": "/mqtt" }));
        let mut page = Page::open(&site, "run=door&paths=/mqtt,/mqtt/more,/");
        for (path, outcome) in [
            ("/mqtt", "connected"),
            ("/mqtt/more", "refused"),
            ("/", "refused"),
        ] {
            let expected = json!({ "event": "door", "path": path, "outcome": outcome });
            assert_eq!(page.event(), expected);
        }
        page.close();
    }
}

/// So the other tests over TLS do not pass because Chromium takes any certificate.
#[test]
fn a_certificate_that_chromium_was_not_told_of_is_refused() {
    let site = Site::start(Scheme::Https);
    let complaint = Page::refused(&site);
    assert!(
        complaint.contains("ERR_CERT_AUTHORITY_INVALID"),
        "{complaint}"
    );
}
