//! The head of the first request, before there is anything to answer it: whoever says nothing, or says it
//! byte by byte, takes no more memory than what he has sent.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::connection::HEAD_BYTES;
use crate::worker;

/// Reads until the head is whole, it can be none, or there is no more. Nothing at all if the client has
/// ended its direction.
///
/// # Errors
/// Those of the stream.
///
/// # Cancel safety
/// What was read is lost if the future is dropped.
pub(super) async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let had = head.len();
        let read = poll_fn(|context| poll_read(stream, &mut head, context)).await?;
        if read == 0 || is_for_others(&head, had) {
            return Ok(head);
        }
    }
}

/// Reads once, by way of the memory of the worker thread.
fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    head: &mut Vec<u8>,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let polled = worker::with(|worker| {
        let room = HEAD_BYTES.saturating_sub(head.len());
        let space = worker.input.get_mut(..room).unwrap_or_default();
        let mut buffer = ReadBuf::new(space);
        ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
        head.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    });
    polled.unwrap_or_else(|| Poll::Ready(Err(io::Error::other("a defect of the server"))))
}

/// Whether what has come is to be looked at: there is the end of a head in it, or what no head has, behind
/// the first `had` bytes; or it is too long.
fn is_for_others(head: &[u8], had: usize) -> bool {
    let news = head.get(had.saturating_sub(2)..).unwrap_or_default();
    let ends = |part: &[u8]| part.starts_with(b"\n\n") || part.starts_with(b"\n\r\n");
    let is_binary = |byte: &u8| *byte < b' ' && !b"\t\r\n".contains(byte);
    head.len() >= HEAD_BYTES
        || news.iter().any(is_binary)
        || (0..news.len()).any(|at| news.get(at..).is_some_and(ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_head_is_found_wherever_it_is_cut() {
        for head in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\x10",
        ] {
            for cut in 0..head.len() {
                assert!(!is_for_others(&head[..cut], 0), "{cut}");
                assert!(is_for_others(head, cut), "{head:?}, {cut}");
            }
        }
        assert!(is_for_others(&[b'a'; HEAD_BYTES], HEAD_BYTES - 1));
    }

    #[tokio::test]
    async fn no_more_is_read_than_what_a_head_may_have() {
        let bytes = vec![b'a'; 3 * HEAD_BYTES];
        assert_eq!(read(&mut &bytes[..]).await.unwrap().len(), HEAD_BYTES);
        assert_eq!(read(&mut &b"GET /"[..]).await.unwrap(), b"GET /");
        assert_eq!(read(&mut &b""[..]).await.unwrap(), b"");
    }
}
