//! A panic while the connection is polled: it ends for everyone, and nobody waits or panics along.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use tokio::io::{DuplexStream, ReadBuf};

use super::super::*;
use super::peer::{Peer, call, in_time, request};
use super::was_never_sent;

/// A stream that panics at its next use once it is told to.
struct Trapped {
    inner: DuplexStream,
    armed: Arc<AtomicBool>,
}

impl Trapped {
    fn spring(&self) {
        assert!(!self.armed.load(Ordering::SeqCst), "the trap springs");
    }
}

impl AsyncRead for Trapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.spring();
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Trapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.spring();
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

async fn trapped() -> (Peer, Arc<AtomicBool>) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let armed = Arc::new(AtomicBool::new(false));
    let stream = Trapped {
        inner: near,
        armed: Arc::clone(&armed),
    };
    (Peer::at(far, 100, Wire::open(stream)).await, armed)
}

#[tokio::test]
async fn a_panic_under_a_caller_breaks_the_connection_for_all() {
    let (peer, armed) = trapped().await;
    let waiting = peer.spawn("/held", "");
    peer.arrived(1).await;
    armed.store(true, Ordering::SeqCst);
    let unlucky = in_time(peer.spawn("/now", "")).await;
    assert!(unlucky.unwrap_err().is_panic());
    let fault = in_time(waiting).await.unwrap().unwrap_err();
    assert!(matches!(fault, WireError::Broken(_)), "{fault:?}");
    let fault = in_time(call(&peer.wire, "/now", "")).await.unwrap_err();
    assert!(matches!(fault, WireError::NeverSent), "{fault:?}");
}

#[tokio::test]
async fn a_panic_under_the_task_breaks_the_connection_for_all() {
    let (peer, armed) = trapped().await;
    let waiting = peer.spawn("/held", "");
    peer.arrived(1).await;
    // By now nobody counts on the one that waits.
    tokio::time::sleep(super::Duration::from_millis(60)).await;
    armed.store(true, Ordering::SeqCst);
    peer.gate.add_permits(1);
    let fault = in_time(waiting).await.unwrap().unwrap_err();
    assert!(matches!(fault, WireError::Broken(_)), "{fault:?}");
    assert!(was_never_sent(&super::ask(&peer.wire).await));
}

/// Whoever wakes it first, panics: h2 does so under its own lock.
#[derive(Default)]
struct Mine {
    has_gone_off: AtomicBool,
}

impl Wake for Mine {
    fn wake(self: Arc<Self>) {
        let again = self.has_gone_off.swap(true, Ordering::SeqCst);
        assert!(again, "the mine goes off");
    }
}

#[tokio::test]
async fn a_panic_inside_h2_harms_nobody_else() {
    let peer = Peer::unattended().await;
    assert_eq!(call(&peer.wire, "/now", "x").await.unwrap(), "x");
    let waiting = peer.spawn("/held", "");
    peer.arrived(2).await;
    let mut wire = peer.wire.clone();
    std::future::poll_fn(|context| wire.poll_ready(context))
        .await
        .unwrap();
    let mut mined = Box::pin(wire.call(request("/held", RequestBody::empty())));
    let mine = Waker::from(Arc::<Mine>::default());
    assert!(
        mined
            .as_mut()
            .poll(&mut Context::from_waker(&mine))
            .is_pending()
    );
    // One that comes later drives, and meets the mine where h2 tells the other of its answer.
    let unlucky = peer.spawn("/held", "");
    peer.arrived(4).await;
    peer.gate.add_permits(3);
    let fault = in_time(waiting).await.unwrap().unwrap_err();
    assert!(matches!(fault, WireError::Broken(_)), "{fault:?}");
    assert!(in_time(unlucky).await.unwrap_err().is_panic());
    // Neither a later call nor what is dropped late touches what is left of h2.
    let fault = in_time(call(&peer.wire, "/now", "")).await.unwrap_err();
    assert!(matches!(fault, WireError::NeverSent), "{fault:?}");
    assert!(catch_unwind(AssertUnwindSafe(|| drop(mined))).is_ok());
}
