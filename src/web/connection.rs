//! A client's connection, with a timeout for the header of each request.
//!
//! hyper has one timer for both the header and the idle time before it. A proxy keeps idle connections for a minute,
//! and would lose a request on a connection that we close at the same moment. So this file times the header separately.
//!
//! It also adds the security headers to the responses that no route creates: the one to a late header, and hyper's own
//! to bytes that are not a valid request.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::SecurityHeaders;

/// The time limit for a header, counted from the first byte of the request or from the start of the connection.
pub(super) const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

const REQUEST_TIMEOUT_HEAD: &str = "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n";

/// hyper's own responses are shorter than this: status, `content-length: 0`, `connection: close` and a date.
const MAX_HYPER_ANSWER_BYTES: usize = 256;

/// A TCP stream with a timer that runs while a header is incomplete.
pub(super) struct Connection {
    stream: TcpStream,
    timer: Option<Pin<Box<Sleep>>>,
    phase: RequestPhase,
    headers: SecurityHeaders,
    /// What remains to be written of a response that got its security headers here.
    unwritten: Bytes,
}

/// Whether the connection is inside a request. The service sets this.
#[derive(Clone, Default)]
pub(super) struct RequestPhase(Arc<AtomicBool>);

impl RequestPhase {
    /// Marks the header as complete.
    pub(super) fn begin_request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Marks the response as ready. The next bytes begin a new request.
    pub(super) fn end_request(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_in_request(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream, phase: RequestPhase, headers: SecurityHeaders) -> Connection {
        let timer = Some(Box::pin(sleep_until(Instant::now() + HEADER_TIMEOUT)));
        Connection { stream, timer, phase, headers, unwritten: Bytes::new() }
    }

    fn poll_write_unwritten(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unwritten.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.unwritten))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.unwritten.advance(written),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Adds the security headers to hyper's own response to an invalid request. Returns `None` for any other bytes. Routes
/// set the headers themselves, so a complete error response without them is hyper's.
fn with_security_headers(bytes: &[u8], headers: &SecurityHeaders) -> Option<Bytes> {
    if bytes.len() > MAX_HYPER_ANSWER_BYTES || !bytes.starts_with(b"HTTP/1.1 4") {
        return None;
    }
    let (head, body) = str::from_utf8(bytes).ok()?.split_once("\r\n\r\n")?;
    let own = body.is_empty() && !head.contains("x-frame-options");
    own.then(|| format!("{head}\r\n{}\r\n", headers.as_head_lines()).into())
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.phase.is_in_request() {
            self.timer = None;
        }
        let before = buf.filled().len();
        if let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            if buf.filled().len() > before && self.timer.is_none() && !self.phase.is_in_request() {
                self.timer = Some(Box::pin(sleep_until(Instant::now() + HEADER_TIMEOUT)));
            }
            return Poll::Ready(outcome);
        }
        let Some(timer) = &mut self.timer else { return Poll::Pending };
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        // The client has sent half a header. If it does not accept the response, closing the connection must do.
        drop(self.stream.try_write(format!("{REQUEST_TIMEOUT_HEAD}{}\r\n", self.headers.as_head_lines()).as_bytes()));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_write_unwritten(cx))?;
        if let Some(answer) = with_security_headers(bytes, &self.headers) {
            self.unwritten = answer;
            // These bytes are now in `unwritten`. The flush that follows writes what the client does not accept at
            // once.
            return match self.poll_write_unwritten(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(bytes.len())),
            };
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_unwritten(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_unwritten(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // hyper's own responses have no body, so they come in one slice.
        if let [whole] = slices {
            return self.poll_write(cx, whole);
        }
        ready!(self.poll_write_unwritten(cx))?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
