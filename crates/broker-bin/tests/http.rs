//! The command as a web server for pages that speak MQTT: curl gets its files, MQTT.js its WebSockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    unreachable_pub,
    dead_code,
    reason = "all of this is a test, and uses only a part of what the real clients need"
)]

#[path = "real_clients/mqttjs.rs"]
mod mqttjs;
#[path = "real_clients/process.rs"]
mod process;

use std::path::Path;
use std::process::Command;

use process::{Line, Process};
use test_servers::Folder;
use test_servers::certificates::{Authority, Subject};

/// Starts the command and waits until it has told a port for each of these schemes, in their order.
fn start(arguments: &[&str], schemes: &[&str]) -> (Process, Vec<u16>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    let command = command.args(["--host", "127.0.0.1"]).args(arguments);
    let mut process = Process::start("mosca", command);
    let ports = schemes.iter().map(|scheme| process.port(scheme)).collect();
    (process, ports)
}

/// Runs the command to its end: exit code, and what it complains of.
fn complaint(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    let command = command.args(["--host", "127.0.0.1"]).args(arguments);
    let (status, lines) = Process::start("mosca", command).finish();
    let lines = lines.into_iter().filter_map(|line| match line {
        Line::Err(line) => Some(line),
        Line::Out(_) => None,
    });
    (status.code(), lines.collect::<Vec<_>>().join("\n"))
}

/// What curl prints: the response with its head.
fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "90"])
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A folder with a page in `public`, something beside that, and a script.
fn pages(name: &str) -> (Folder, String, String) {
    let folder = Folder::new(name);
    let public = folder.path().join("public");
    std::fs::create_dir_all(public.join("deep")).unwrap();
    for (path, content) in [
        ("secret.txt", "secret"),
        ("script.js", "/* MQTT.js */"),
        ("public/index.html", "<p>start"),
        ("public/deep/index.html", "<p>deep"),
        ("public/.hidden", "secret"),
    ] {
        std::fs::write(folder.path().join(path), content).unwrap();
    }
    let script = folder.path().join("script.js");
    let (public, script) = (text(&public).to_owned(), text(&script).to_owned());
    (folder, public, script)
}

#[test]
fn curl_gets_files_and_the_script_and_nothing_else() {
    let (folder, public, script) = pages("http-curl");
    let bundle = format!("--http-bundle={script}");
    let arguments = [
        "-p",
        "0",
        "--http-port",
        "0",
        "--http-static",
        &public,
        &bundle,
    ];
    let (_mosca, ports) = start(&arguments, &["mqtt", "http"]);
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", ports[1]);
    for (path, status, content) in [
        ("/", 200, "<p>start"),
        ("/index.html", 200, "<p>start"),
        ("/deep/", 200, "<p>deep"),
        ("/mqtt.js", 200, "/* MQTT.js */"),
        ("/nothing", 404, "Not Found\n"),
        ("/.hidden", 404, "Not Found\n"),
        ("/../secret.txt", 404, "Not Found\n"),
        ("/%2e%2e/secret.txt", 404, "Not Found\n"),
        ("/..%2fsecret.txt", 404, "Not Found\n"),
    ] {
        let response = curl(&["--path-as-is", &url(path)]);
        let start = format!("HTTP/1.1 {status} ");
        assert!(response.starts_with(&start), "{path}: {response}");
        assert!(response.ends_with(content), "{path}: {response}");
    }
    // Where its page has moved to, and what it has already.
    let response = curl(&["--location", &url("/deep")]);
    assert!(response.ends_with("<p>deep"), "{response}");
    let tag = folder.path().join("tag");
    let tag = text(&tag);
    for path in ["/", "/mqtt.js"] {
        curl(&["--etag-save", tag, &url(path)]);
        let response = curl(&["--etag-compare", tag, &url(path)]);
        assert!(response.starts_with("HTTP/1.1 304 "), "{response}");
    }
    let response = curl(&["--range", "1-2", &url("/")]);
    assert!(response.starts_with("HTTP/1.1 206 "), "{response}");
    assert!(response.ends_with("\r\n\r\np>"), "{response}");
    let response = curl(&["--head", &url("/")]);
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(
        response.to_lowercase().contains("content-length: 8\r\n"),
        "{response}"
    );
    let response = curl(&["--data", "x=1", &url("/")]);
    assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
    assert!(
        response.to_lowercase().contains("allow: get, head\r\n"),
        "{response}"
    );
}

#[test]
fn curl_gets_them_over_tls_as_the_config_file_says() {
    let (folder, public, script) = pages("https-curl");
    let authority = Authority::new("Test CA");
    let server = authority.issue("server", &Subject::server("localhost"));
    let config = folder.path().join("mosca.json");
    let content = format!(
        r#"{{ "onlyHttp": true, "https": {{ "port": 0, "static": {public:?}, "bundle": {script:?} }},
              "credentials": {{ "certPath": {:?}, "keyPath": {:?} }} }}"#,
        text(&server.certificate),
        text(&server.key),
    );
    std::fs::write(&config, content).unwrap();
    let (_mosca, ports) = start(&["--config", text(&config)], &["https"]);
    let trusted = ["--cacert", text(&authority.certificate)];
    for (path, content) in [("", "<p>start"), ("mqtt.js", "/* MQTT.js */")] {
        let url = format!("https://localhost:{}/{path}", ports[0]);
        let response = curl(&[&trusted[..], &[&url]].concat());
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        assert!(response.ends_with(content), "{response}");
    }
}

#[test]
fn mqttjs_talks_to_the_port_that_serves_files() {
    let (_folder, public, _) = pages("http-mqttjs");
    let arguments = ["-p", "0", "--http-port", "0", "--http-static", &public];
    let (_mosca, ports) = start(&arguments, &["mqtt", "http"]);
    for version in ["3.1", "3.1.1", "5"] {
        let client = || {
            let mut command = mqttjs::command();
            command.args(["--port", &ports[1].to_string(), "--websocket"]);
            command.args(["--qos", "2", "--version", version]);
            command
        };
        mqttjs::talk(client(), client());
    }
}

#[test]
fn without_files_the_port_is_for_websockets_alone() {
    let (_mosca, ports) = start(&["--only-http", "--http-port", "0"], &["ws"]);
    let response = curl(&[&format!("http://127.0.0.1:{}/", ports[0])]);
    assert!(response.starts_with("HTTP/1.1 426 "), "{response}");
}

/// Whether it was fetched is the build's business; either way it is said what there is.
#[test]
fn the_script_is_the_commands_own_unless_a_file_is_named() {
    let arguments = ["-p", "0", "--http-port", "0", "--http-bundle"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_mosca"));
    let command = command.args(["--host", "127.0.0.1"]).args(arguments);
    let mut process = Process::start("mosca", command);
    let port = process.wait_for("its port, or a complaint", |line| match line {
        Line::Out(line) => {
            let port = line.split_once(" listening: http://127.0.0.1:")?.1;
            Some(Ok(port.parse::<u16>().unwrap()))
        }
        Line::Err(line) => line.contains("/mqtt.js").then(|| Err(line.clone())),
    });
    match port {
        Ok(port) => {
            let response = curl(&[&format!("http://127.0.0.1:{port}/mqtt.js")]);
            assert!(response.starts_with("HTTP/1.1 200 "), "{}", &response[..20]);
            assert!(response.len() > 100_000, "{} bytes", response.len());
        }
        Err(complaint) => {
            assert!(complaint.contains("cargo xtask bundle"), "{complaint}");
            assert_eq!(process.finish().0.code(), Some(1));
        }
    }
}

#[test]
fn files_that_are_not_there_are_an_error_that_names_them() {
    let (folder, public, _) = pages("http-missing");
    let missing = folder.path().join("missing");
    let missing = text(&missing);
    let bundle = format!("--http-bundle={missing}");
    let port = ["-p", "0", "--http-port", "0"];
    for (more, code, words) in [
        (
            &["--http-static", missing][..],
            1,
            &[missing, "No such file"][..],
        ),
        (&[&bundle], 1, &[missing, "--http-bundle", "No such file"]),
        (
            &["--https-static", &public],
            2,
            &["--https-static", "--https-port"],
        ),
    ] {
        let (found, complaint) = complaint(&[&port, more].concat());
        assert_eq!(found, Some(code), "{complaint}");
        for word in words {
            assert!(complaint.contains(word), "{complaint} has no {word}");
        }
    }
}
