//! Serves HTTP on TCP sockets, with every wait and count bounded, and drains when told to.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at once, over all listeners. One more waits in the kernel's queue.
const CONNECTIONS_MAX: usize = 4096;

/// How long a client may take over its header. OpenBao's default is ten seconds too.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// As much as a request's header may be; a token and a path need far less.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// As many header fields as a request may have.
const HEADER_COUNT_MAX: usize = 100;

/// How long to wait after `accept` fails, which means that the process is out of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Reads where to listen, as Go reads it: an address with a port, `localhost` with a port, or a port alone for every
/// address of the machine.
pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let host = match host {
        "localhost" => "127.0.0.1",
        "" => "[::]",
        other => other,
    };
    format!("{host}:{port}").parse().ok()
}

/// The sockets, open and not yet served.
pub(crate) struct Listeners(Vec<TcpListener>);

impl Listeners {
    /// Opens them all.
    ///
    /// # Errors
    ///
    /// Which address cannot be had, and why.
    pub(crate) async fn open(addresses: &[SocketAddr]) -> Result<Self, String> {
        let mut all = Vec::new();
        for address in addresses {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|fault| format!("cannot listen on {address}: {fault}"))?;
            all.push(listener);
        }
        Ok(Self(all))
    }

    /// Where they are, with the ports that the system chose.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.0
            .iter()
            .filter_map(|listener| listener.local_addr().ok())
            .collect()
    }

    /// Serves until `stop` turns true, and then until every connection is done or `drain` has passed.
    pub(crate) async fn serve(self, router: Router, stop: watch::Receiver<bool>, drain: Duration) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut accepting = JoinSet::new();
        for listener in self.0 {
            accepting.spawn(accept(
                listener,
                router.clone(),
                Arc::clone(&places),
                stop.clone(),
                drain,
            ));
        }
        while accepting.join_next().await.is_some() {}
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    places: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
    drain: Duration,
) {
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            next = next => next,
            Some(_) = connections.join_next() => continue,
            () = told(&mut stop) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = serve_connection(stream, router.clone(), stop.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            Err(fault) => {
                tracing::warn!(%fault, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!("connections were still busy at the end of the drain time");
    }
}

async fn serve_connection(stream: TcpStream, router: Router, mut stop: watch::Receiver<bool>) {
    // Answers are small and whole; waiting to fill a packet would only delay them.
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADER_COUNT_MAX)
        .serve_connection(
            TokioIo::new(stream),
            TowerToHyperService::new(infallible(router)),
        );
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(fault) = outcome {
        tracing::debug!(%fault, "a connection ended early");
    }
}

/// Waits until the server is told to stop; a sender that is gone means the same.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The router takes axum's body; this one takes hyper's.
fn infallible(
    router: Router,
) -> impl tower::Service<
    hyper::Request<hyper::body::Incoming>,
    Response = axum::response::Response,
    Error = Infallible,
    Future: Send,
> + Clone {
    tower::ServiceExt::map_request(router, |request: hyper::Request<hyper::body::Incoming>| {
        request.map(axum::body::Body::new)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_listen_is_read_as_go_reads_it() {
        for (text, read) in [
            ("127.0.0.1:8200", "127.0.0.1:8200"),
            ("localhost:8200", "127.0.0.1:8200"),
            (":8200", "[::]:8200"),
            ("[::1]:0", "[::1]:0"),
        ] {
            let read = Some(read.parse().expect("an address"));
            assert_eq!(address(text), read, "{text}");
        }
        for text in ["", ":", "8200", "example.org:8200", "127.0.0.1:x", "::1:x"] {
            assert_eq!(address(text), None, "{text}");
        }
    }
}
