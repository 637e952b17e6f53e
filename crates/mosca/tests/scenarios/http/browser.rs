//! A client of HTTP/1.1 that sends what it is told to, and is strict about what comes.

use std::net::SocketAddr;
use std::time::Duration;

use mosca::Server;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::within;

/// A request for a path, with further headers.
pub(crate) fn get(path: &str, headers: &[&str]) -> String {
    request("GET", path, headers)
}

pub(crate) fn request(method: &str, path: &str, headers: &[&str]) -> String {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request + "\r\n"
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// A header that is there once at most.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1);
        let mut values = lines.filter_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{name} twice: {}", self.head);
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// One connection.
pub(crate) struct Browser<S = TcpStream> {
    pub(crate) stream: S,
    buffer: Vec<u8>,
}

impl Browser {
    /// A connection to the last interface.
    pub(crate) async fn open(server: &Server) -> Self {
        Self::open_at(*server.local_addresses().last().unwrap()).await
    }

    pub(crate) async fn open_at(address: SocketAddr) -> Self {
        let stream = within("TCP connection", TcpStream::connect(address)).await;
        let stream = stream.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// One request on a connection of its own.
    pub(crate) async fn ask_once(server: &Server, request: &str) -> Response {
        Self::open(server).await.ask(request).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Browser<S> {
    pub(crate) fn over(stream: S) -> Self {
        let buffer = Vec::new();
        Self { stream, buffer }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        within("write", self.stream.write_all(bytes)).await.unwrap();
    }

    /// Sends a request, and reads all of the response.
    pub(crate) async fn ask(&mut self, request: &str) -> Response {
        self.write(request.as_bytes()).await;
        self.response(request.starts_with("HEAD")).await
    }

    /// The next response; `bodiless` ones only announce what they would carry.
    pub(crate) async fn response(&mut self, bodiless: bool) -> Response {
        let end = loop {
            let end = self.buffer.windows(4).position(|it| it == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            let read = self.read().await;
            assert!(read > 0, "ended within a head: {:?}", self.buffer);
        };
        let head = String::from_utf8(self.buffer.drain(..end).collect()).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3]
            .parse()
            .unwrap();
        let mut response = Response {
            status,
            head,
            body: Vec::new(),
        };
        let length = response.header("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        if !bodiless && status != 304 && status != 101 {
            while self.buffer.len() < length {
                let read = self.read().await;
                assert!(read > 0, "ended within a body: {}", response.head);
            }
            response.body = self.buffer.drain(..length).collect();
        }
        response
    }

    async fn read(&mut self) -> usize {
        let read = within("bytes or their end", self.stream.read_buf(&mut self.buffer)).await;
        read.unwrap_or_else(|error| panic!("ended by {error}"))
    }

    /// Nothing more comes, and the connection ends.
    pub(crate) async fn assert_ends(&mut self) {
        assert_eq!(self.read().await, 0, "{:?}", self.buffer);
        assert!(self.buffer.is_empty(), "{:?}", self.buffer);
    }

    /// Nothing has come by now, and nothing does before the answer to `request`.
    pub(crate) async fn is_open(&mut self) {
        assert_eq!(self.ask(&get("/is-there-nothing", &[])).await.status, 404);
    }
}

/// Longer than any test waits.
pub(crate) const LONG: Duration = Duration::from_secs(3_600);
