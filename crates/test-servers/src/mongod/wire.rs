//! One command to a server and its answer, which saves the tests a shell and this crate a driver.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use bson::Document;

/// The kind of message that carries commands and answers.
const OP_MSG: i32 = 2_013;

/// Bytes of the lengths, numbers and flags before the document.
const HEAD_BYTES: usize = 21;

/// Larger answers than a server sends.
const LARGEST_BYTES: usize = 48_000_000;

/// Electing a primary, or stepping down, takes a server some time.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn command(
    port: u16,
    database: &str,
    mut command: Document,
) -> Result<Document, String> {
    command.insert("$db", database);
    let answer = exchange(port, &command).map_err(|error| error.to_string())?;
    if answer.get("ok").and_then(number) == Some(1.0) {
        return Ok(answer);
    }
    Err(answer.get_str("errmsg").unwrap_or("no errmsg").to_owned())
}

fn number(value: &bson::Bson) -> Option<f64> {
    value.as_f64().or_else(|| value.as_i32().map(f64::from))
}

fn exchange(port: u16, command: &Document) -> std::io::Result<Document> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut body = Vec::new();
    command
        .to_writer(&mut body)
        .map_err(std::io::Error::other)?;
    let length = i32::try_from(HEAD_BYTES + body.len()).map_err(std::io::Error::other)?;
    let mut message = Vec::new();
    // Length, number, answer to which number, kind, flags, and that one document follows.
    for part in [length, 1, 0, OP_MSG, 0] {
        message.extend_from_slice(&part.to_le_bytes());
    }
    message.push(0);
    message.extend_from_slice(&body);
    stream.write_all(&message)?;

    let mut head = [0; HEAD_BYTES];
    stream.read_exact(&mut head)?;
    let [a, b, c, d, ..] = head;
    let length = usize::try_from(i32::from_le_bytes([a, b, c, d])).unwrap_or_default();
    if !(HEAD_BYTES..LARGEST_BYTES).contains(&length) {
        return Err(std::io::Error::other(format!("{length} bytes of answer")));
    }
    let mut body = vec![0; length - HEAD_BYTES];
    stream.read_exact(&mut body)?;
    Document::from_reader(&mut &*body).map_err(std::io::Error::other)
}
