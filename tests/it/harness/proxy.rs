//! A wire between a daemon and its database that can be cut: nothing passes, and neither side is told.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::web::runtime;

/// The wire.
pub(crate) struct Wire {
    port: u16,
    whole: Arc<watch::Sender<bool>>,
}

impl Wire {
    /// A wire to this port of this machine.
    pub(crate) fn to(port: u16) -> Self {
        let whole = Arc::new(watch::Sender::new(true));
        let listener = runtime().block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let ours = listener.local_addr().unwrap().port();
        let state = whole.clone();
        runtime().spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let state = state.clone();
                runtime().spawn(async move {
                    let _ = state.subscribe().wait_for(|whole| *whole).await;
                    let Ok(far) = TcpStream::connect(("127.0.0.1", port)).await else {
                        return;
                    };
                    let (near_in, near_out) = near.into_split();
                    let (far_in, far_out) = far.into_split();
                    runtime().spawn(carry(near_in, far_out, state.subscribe()));
                    carry(far_in, near_out, state.subscribe()).await;
                });
            }
        });
        Self { port: ours, whole }
    }

    /// The near end.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Nothing passes any more.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Everything passes again, and what was under way as well.
    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut whole: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = from.read(&mut buffer).await {
        if whole.wait_for(|whole| *whole).await.is_err() || count == 0 {
            break;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
}
