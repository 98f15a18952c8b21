//! A client's connection, which has to send the whole header of a request in time.
//!
//! hyper has one timer for both the header and the idle time before it. A proxy keeps idle connections for a minute
//! and would lose a request on one that we close at the same moment, so the two are told apart here.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// From the first byte of a request, or from the start of the connection, to the end of the header.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

const TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\nx-content-type-options: nosniff\r\n\r\n";

/// A stream with a timer that runs while a header is incomplete.
pub(super) struct Connection {
    stream: TcpStream,
    timer: Option<Pin<Box<Sleep>>>,
    phase: Phase,
}

/// Whether the connection is inside a request; the service tells it.
#[derive(Clone, Default)]
pub(super) struct Phase(Arc<AtomicBool>);

impl Phase {
    /// The header is complete.
    pub(super) fn begun(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The response is ready; what comes next is a new request.
    pub(super) fn ended(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn inside(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream, phase: Phase) -> Connection {
        Connection { stream, timer: Some(Box::pin(sleep_until(Instant::now() + HEADER_TIMEOUT))), phase }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.phase.inside() {
            self.timer = None;
        }
        let before = buf.filled().len();
        if let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            if buf.filled().len() > before && self.timer.is_none() && !self.phase.inside() {
                self.timer = Some(Box::pin(sleep_until(Instant::now() + HEADER_TIMEOUT)));
            }
            return Poll::Ready(outcome);
        }
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        // The client has sent half a header; if it cannot even take the answer, closing is all that is left.
        drop(self.stream.try_write(TOO_SLOW));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
