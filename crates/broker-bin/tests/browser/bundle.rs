//! `/mqtt.js` is the browser build of MQTT.js, as it is in its package, behind its license.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::mqttjs;
use crate::process::PATIENCE;
use crate::site::{Scheme, Site};

#[test]
fn the_script_is_that_of_the_package_behind_its_license() {
    let package = mqttjs::from_environment("MOSCA_TEST_NODE_PATH").join("mqtt");
    let file = |name| std::fs::read_to_string(package.join(name)).unwrap();
    let (license, script) = (file("LICENSE.md"), file("dist/mqtt.min.js"));
    assert!(license.contains("Permission is hereby granted, free of charge"));

    let site = Site::start(Scheme::Http);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, site.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = "GET /mqtt.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let is_as_expected = body == format!("/*!\n{license}*/\n{script}");
    assert!(
        is_as_expected,
        "{head}: {} bytes of something else",
        body.len()
    );
}
