//! The task of one connection on which requests come, until it ends or becomes a WebSocket.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use broker_core::{Escaped, Quoted};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, Parts};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mqtt_websocket::{Terms, WebSocket};
use tokio::time::timeout;

use super::first_head;
use super::paced::Paced;
use super::{Answer, Body, Site};
use crate::connection::Driver;
use crate::network::{Network, part};
use crate::shared::{Counted, Shared};

/// Bytes of the head of a request, and of a response that wait in this process; the least that hyper takes.
pub(super) const HEAD_BYTES: usize = 8 << 10;

/// One who has come, by whichever door.
pub(crate) struct Visit<S: Network> {
    pub(crate) stream: S,
    pub(crate) peer: S::Peer,
    /// Who the client is, if what carries the connection has shown it.
    pub(crate) user: Option<Arc<str>>,
    pub(crate) site: Arc<Site>,
    pub(crate) terms: Arc<Terms>,
    /// Counts the connection among those of its interface.
    pub(crate) counted: Counted,
}

/// How it went.
enum Ended<S> {
    /// The connection is a WebSocket now, of which these bytes have been read.
    Upgraded(S, Vec<u8>),
    /// All has been said; the client may still be about to read it.
    Said(S),
    /// There is nobody to whom more could be said.
    Lost,
}

/// Serves one connection, and hands it on if it becomes a WebSocket.
pub(crate) async fn serve<S: Network + 'static>(visit: Visit<S>) {
    let Visit {
        stream,
        peer,
        user,
        site,
        terms,
        counted,
    } = visit;
    let shared = Arc::clone(counted.shared());
    let Some(ended) = unless_it_panics(converse(stream, &peer, &site, &terms, &shared)).await
    else {
        tracing::error!(%peer, "a defect of the server ends the connection");
        return;
    };
    match ended {
        Ended::Upgraded(stream, read) => {
            let stream = WebSocket::upgraded(stream, &read);
            let number = counted.interface();
            // A task of its own is as small as it would be without all this.
            tokio::spawn(Driver::new(stream, peer, shared, number).certified(user));
        }
        Ended::Said(stream) => part(stream, shared.discard_time()).await,
        Ended::Lost => {}
    }
}

/// Waits for the first request, and answers all of them.
async fn converse<S: Network>(
    mut stream: S,
    peer: &S::Peer,
    site: &Site,
    terms: &Terms,
    shared: &Shared,
) -> Ended<S> {
    let head = tokio::select! {
        head = timeout(site.request_timeout, first_head::read(&mut stream)) => head,
        () = shared.wait_until_closing() => return Ended::Said(stream),
    };
    match head {
        Ok(Ok(head)) if !head.is_empty() => {
            // Now it is worth the memory.
            Box::pin(answer_all(stream, head, peer, site, terms, shared)).await
        }
        Ok(_) => Ended::Lost,
        Err(_) => {
            shared.refused.note_http_timeout();
            tracing::debug!(%peer, "no HTTP request in time");
            Ended::Said(stream)
        }
    }
}

/// Answers requests until there are no more, or the connection is something else. `head` is the first
/// one's, or the beginning of it.
async fn answer_all<S: Network>(
    stream: S,
    head: Vec<u8>,
    peer: &S::Peer,
    site: &Site,
    terms: &Terms,
    shared: &Shared,
) -> Ended<S> {
    let (requests, is_upgraded) = (AtomicU64::new(0), &AtomicBool::new(false));
    let service = service_fn(|request: Request<Incoming>| {
        requests.fetch_add(1, Ordering::Relaxed);
        shared.refused.note_request();
        // hyper wants to move it.
        Box::pin(async move {
            let answer = site.answer(terms, &request).await;
            let response = match answer {
                Answer::Plain(response) => response,
                Answer::WebSocket(response) => {
                    is_upgraded.store(true, Ordering::Relaxed);
                    response.map(|()| Body::Left(Full::default()))
                }
            };
            note(peer, &request, &response);
            Ok::<_, Infallible>(response)
        })
    });
    let stream = TokioIo::new(Paced::new(stream, head, site.response_timeout));
    let mut connection = reader(site).serve_connection(stream, service);
    let result = tokio::select! {
        result = poll_fn(|context| connection.poll_without_shutdown(context)) => Some(result),
        () = shared.wait_until_closing() => None,
    };
    let result = match result {
        Some(result) => result,
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            let rest = poll_fn(|context| connection.poll_without_shutdown(context));
            match timeout(shared.farewell_time(), rest).await {
                Ok(result) => result,
                Err(_) => return Ended::Lost,
            }
        }
    };
    let Parts { io, read_buf, .. } = connection.into_parts();
    let stream = io.into_inner();
    let is_cut_off = stream.is_cut_off();
    let (stream, kept) = stream.into_parts();
    let Err(error) = result else {
        return match is_upgraded.load(Ordering::Relaxed) {
            true => Ended::Upgraded(stream, [read_buf, kept].concat()),
            false => Ended::Said(stream),
        };
    };
    // Who has said nothing since the last response is not late.
    if error.is_timeout() && requests.into_inner() > 0 && read_buf.is_empty() {
        return Ended::Said(stream);
    }
    tracing::debug!(%peer, error = %Escaped(&error), "HTTP connection ended");
    if error.is_parse() {
        shared.refused.note_bad_request();
        return Ended::Said(stream);
    }
    if is_cut_off || error.is_timeout() {
        shared.refused.note_http_timeout();
    }
    Ended::Lost
}

/// What reads requests, within their limits. Of headers hyper takes 100.
fn reader(site: &Site) -> http1::Builder {
    let mut reader = http1::Builder::new();
    reader
        .timer(TokioTimer::new())
        .header_read_timeout(site.request_timeout)
        .max_buf_size(HEAD_BYTES);
    reader
}

/// Each request is a line of the log. What stands behind `?` may be a secret.
fn note<B>(peer: &impl std::fmt::Display, request: &Request<B>, response: &Response<Body>) {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let status = response.status().as_u16();
    tracing::debug!(%peer, method = %Quoted(method), path = %Quoted(path), status, "request answered");
}

/// What `future` comes to; none if it panicked.
async fn unless_it_panics<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_what_it_is_in_and_nothing_else() {
        assert_eq!(unless_it_panics(async { 7 }).await, Some(7));
        let broken = async {
            tokio::task::yield_now().await;
            assert_eq!(1, 2, "a defect");
        };
        assert_eq!(unless_it_panics(broken).await, None);
    }
}
