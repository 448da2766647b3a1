//! Connections: how many there are, how long they may take to ask and to read, and how they end.

use std::{
    io,
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{Instant, Sleep, sleep},
};

use super::App;
use crate::{failure::Result, interrupt, notes};

/// Connections at once; more are closed as they come.
const CONNECTIONS: usize = 1024;
/// Time that a request's head may take.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Bytes of a request's head, about, and lines.
const HEAD_BYTES: usize = 64 << 10;
const HEAD_LINES: usize = 100;
/// Time after which a client that reads nothing of what waits for it is gone.
const UNREAD_TIME: Duration = Duration::from_mins(1);
/// Pause after a connection that could not be taken: no more files, mostly.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers until it is to end; then finishes what goes on.
pub async fn serve(listener: TcpListener, app: Arc<App>, router: Router) -> Result {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut ended = pin!(ended());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut ended => break,
        };
        let Ok((stream, _)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        let Ok(place) = room.clone().try_acquire_owned() else {
            continue;
        };
        let _ = stream.set_nodelay(true); // pieces are to go out as they come; without it they do so later
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEAD_LINES)
            .serve_connection(
                TokioIo::new(Impatient::new(stream)),
                TowerToHyperService::new(router.clone()),
            );
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            let _ = connection.await; // a client that went away is no failure of ours
            drop(place);
        });
    }
    drop(listener);
    app.ends.store(true, Relaxed);
    graceful.shutdown().await;
    Ok(())
}

/// Waits until Ctrl-C or a request to end from outside; then answers that go on are finished.
async fn ended() {
    let asked = async {
        while !interrupt::asked() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = asked => {}
        () = terminated() => {}
    }
    notes::note("finishing the answers that go on; Ctrl-C ends them");
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

/// A stream that fails where its reader reads nothing for a while.
struct Impatient {
    stream: TcpStream,
    /// Ends while a write waits.
    patience: Pin<Box<Sleep>>,
    waits: bool,
}

impl Impatient {
    fn new(stream: TcpStream) -> Impatient {
        Impatient {
            stream,
            patience: Box::pin(sleep(UNREAD_TIME)),
            waits: false,
        }
    }

    /// Result of a write, or an error where it waited for too long.
    fn bounded<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waits = false;
            return written;
        }
        if !std::mem::replace(&mut self.waits, true) {
            self.patience.as_mut().reset(Instant::now() + UNREAD_TIME);
        }
        ready!(self.patience.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bounded(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.bounded(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.bounded(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(context);
        self.bounded(context, ended)
    }
}
