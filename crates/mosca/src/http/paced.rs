//! A stream whose other end has to take what is written at some pace, and of which something was read
//! already.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Bytes that have to be taken in the time that writing may wait.
pub(super) const PORTION: usize = 32 << 10;

/// Writing ends with an error of the kind `TimedOut` when it had to wait for as long as it may since the
/// last [`PORTION`] was taken. Only waiting counts: who asks rarely and takes it at once is not slow.
pub(super) struct Paced<S> {
    stream: S,
    /// Comes before what is read.
    kept: Bytes,
    limit: Duration,
    /// Of the present portion.
    taken: usize,
    waited: Duration,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    is_cut_off: bool,
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, kept: Vec<u8>, limit: Duration) -> Self {
        Self {
            stream,
            kept: kept.into(),
            limit,
            taken: 0,
            waited: Duration::ZERO,
            waiting: None,
            is_cut_off: false,
        }
    }

    /// Whether writing has ended because it took too long.
    pub(super) fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// The stream, and what was read of it and is still to come.
    pub(super) fn into_parts(self) -> (S, Bytes) {
        (self.stream, self.kept)
    }

    /// What has come of a write or a flush that has taken so many bytes.
    fn pace<T>(
        &mut self,
        result: Poll<io::Result<T>>,
        taken: impl FnOnce(&T) -> usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        let Poll::Ready(result) = result else {
            let left = self.limit.saturating_sub(self.waited);
            let (_, until) = self
                .waiting
                .get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(left))));
            ready!(until.as_mut().poll(context));
            self.is_cut_off = true;
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        };
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
        }
        self.taken += result.as_ref().map_or(0, taken);
        if self.taken >= PORTION {
            self.taken = 0;
            self.waited = Duration::ZERO;
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.kept.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let here = this.kept.len().min(buffer.remaining());
        buffer.put_slice(this.kept.get(..here).unwrap_or_default());
        this.kept.advance(here);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.pace(result, |taken| *taken, context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.pace(result, |taken| *taken, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_flush(context);
        this.pace(result, |()| 0, context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// One whose other end takes `step` bytes every `pause`, from `Duplex`.
    async fn written(step: usize, pause: Duration, total: usize) -> io::Result<()> {
        let (mut client, stream) = tokio::io::duplex(1_000);
        let reading = tokio::spawn(async move {
            let mut bytes = vec![0; step];
            while client.read_exact(&mut bytes).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
        });
        let mut stream = Paced::new(stream, Vec::new(), LIMIT);
        let result = stream.write_all(&vec![7; total]).await;
        assert_eq!(stream.is_cut_off(), result.is_err());
        reading.abort();
        result
    }

    #[tokio::test]
    async fn what_was_read_already_comes_first() {
        let (mut client, stream) = tokio::io::duplex(1_000);
        client.write_all(b"def").await.unwrap();
        let mut stream = Paced::new(stream, b"abc".into(), LIMIT);
        let mut two = [0; 2];
        stream.read_exact(&mut two).await.unwrap();
        assert_eq!((&two, &stream.kept[..]), (b"ab", &b"c"[..]));
        let mut four = [0; 4];
        stream.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"cdef");
        assert!(stream.into_parts().1.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_portion_in_time_gets_everything() {
        // 40,000 bytes in 20 s, for as long as one likes.
        written(1_000, Duration::from_millis(500), 2_000_000)
            .await
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_less_is_cut_off() {
        for (step, pause) in [(1_000, 1_000), (1, 1_000), (1_000, 60_000)] {
            let pause = Duration::from_millis(pause);
            let error = written(step, pause, 2_000_000).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut, "{step}, {pause:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nothing_is_written_does_not_count() {
        let (mut client, stream) = tokio::io::duplex(1_000);
        let mut stream = Paced::new(stream, Vec::new(), LIMIT);
        for _ in 0..100 {
            stream.write_all(&[7; 500]).await.unwrap();
            client.read_exact(&mut [0; 500]).await.unwrap();
            tokio::time::sleep(LIMIT).await;
        }
    }
}
