//! A way to a server that leads elsewhere when it is told to, as a name or a proxy does after a failover.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

/// Where a passage leads.
#[derive(Clone)]
pub(crate) enum End {
    /// A port of the loopback address.
    Port(u16),
    /// A socket.
    Socket(PathBuf),
}

struct State {
    end: End,
    /// Cancelled when those who came before then hear nothing any more.
    silence: CancellationToken,
}

/// Takes connections on a port of the loopback address until it is dropped.
pub(crate) struct Passage {
    port: u16,
    state: Arc<Mutex<State>>,
    closed: CancellationToken,
}

impl Passage {
    /// One that leads there.
    pub(crate) async fn to(end: End) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(Mutex::new(State { end, silence: CancellationToken::new() }));
        let closed = CancellationToken::new();
        let (shared, token) = (Arc::clone(&state), closed.clone());
        tokio::spawn(async move { token.run_until_cancelled(accept(listener, &shared, &token)).await });
        Ok(Self { port, state, closed })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Who comes from now on is led there; who is there already stays.
    pub(crate) fn lead_to(&self, end: End) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).end = end;
    }

    /// Who is there hears nothing any more, not even that it is over, as when a machine vanishes; the server takes them
    /// for gone. Who comes from now on is served.
    pub(crate) fn silence(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.silence).cancel();
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

async fn accept(listener: TcpListener, state: &Mutex<State>, closed: &CancellationToken) {
    while let Ok((client, _)) = listener.accept().await {
        let (end, silence) = {
            let state = state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.end.clone(), state.silence.clone())
        };
        let closed = closed.clone();
        tokio::spawn(async move {
            let over = (silence, closed);
            match end {
                End::Port(port) => {
                    if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                        carry(client, server, over).await;
                    }
                }
                End::Socket(path) => {
                    if let Ok(server) = UnixStream::connect(path).await {
                        carry(client, server, over).await;
                    }
                }
            }
        });
    }
}

async fn carry<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: TcpStream,
    mut server: S,
    (silence, closed): (CancellationToken, CancellationToken),
) {
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        () = closed.cancelled() => return,
        () = silence.cancelled() => {}
    }
    drop(server);
    closed.cancelled().await;
}
