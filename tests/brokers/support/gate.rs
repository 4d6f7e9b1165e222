//! A loopback proxy in front of one broker. It knows nothing about Kafka: it passes everything
//! through, swallows everything, or refuses connections.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, SendError, Sender, channel};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

const BACKLOG: u32 = 128;

/// What a [`Gate`] does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Connections go through to the broker. Connections that were swallowed are closed.
    Pass,
    /// Connections are accepted and stay open. What clients send is read and discarded, and the
    /// broker's answers are never read.
    Blackhole,
    /// Open connections are closed, and new ones are refused.
    Refuse,
    /// The proxy ends.
    End,
}

/// A proxy with its own port, in its own thread. It ends on drop.
pub(crate) struct Gate {
    port: u16,
    mode: watch::Sender<Mode>,
    applied: Receiver<u16>,
    thread: Option<JoinHandle<()>>,
}

impl Gate {
    /// Creates a gate in front of a loopback port, in [`Mode::Pass`]. Nothing needs to listen there
    /// yet.
    pub(crate) fn to(port: u16) -> Self {
        let upstream = SocketAddr::from(([127, 0, 0, 1], port));
        let (mode, watched) = watch::channel(Mode::Pass);
        let (done, applied) = channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime for the gate");
            runtime.block_on(run(upstream, watched, &done));
        });
        let port = applied.recv().expect("the gate's port");
        Self { port, mode, applied, thread: Some(thread) }
    }

    /// The port that clients connect to. It stays the same for the gate's whole life.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Changes what happens to connections: new ones follow by the time this returns, open ones
    /// soon after.
    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
        self.applied.recv().expect("the gate's thread runs");
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.mode.send_replace(Mode::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Creates a socket that holds its port. The kernel refuses connections until it listens.
fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // Connections of an earlier listener may linger in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Confirms each mode, by sending the port, once it applies to new connections.
async fn run(upstream: SocketAddr, mut mode: watch::Receiver<Mode>, applied: &Sender<u16>) {
    let mut socket = bound(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port on loopback");
    let here = socket.local_addr().expect("its address");
    loop {
        let now = *mode.borrow_and_update();
        match now {
            Mode::Pass | Mode::Blackhole => {
                let listener = socket.listen(BACKLOG).expect("a listener");
                // Nobody waits for this if the gate has just been dropped.
                let _ = applied.send(here.port());
                let confirm = || applied.send(here.port());
                accept_until_refused(&listener, upstream, &mut mode, confirm).await;
                drop(listener);
                socket = bound(here).expect("the gate's port");
            }
            Mode::Refuse => {
                let _ = applied.send(here.port());
                let _ = mode.changed().await;
            }
            Mode::End => return,
        }
    }
}

/// Accepts connections until a mode without a listener is set.
async fn accept_until_refused(
    listener: &TcpListener,
    upstream: SocketAddr,
    mode: &mut watch::Receiver<Mode>,
    confirm: impl Fn() -> Result<(), SendError<u16>>,
) {
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((client, _)) = accepted {
                tokio::spawn(serve(client, upstream, mode.clone()));
            },
            _ = mode.changed() => match *mode.borrow() {
                Mode::Pass | Mode::Blackhole => {
                    let _ = confirm();
                }
                Mode::Refuse | Mode::End => return,
            }
        }
    }
}

/// Serves one connection until either side closes it or the mode ends it.
async fn serve(mut client: TcpStream, upstream: SocketAddr, mut mode: watch::Receiver<Mode>) {
    let mut broker = None;
    if *mode.borrow_and_update() == Mode::Pass {
        let Ok(mut connected) = TcpStream::connect(upstream).await else { return };
        let _ = (client.set_nodelay(true), connected.set_nodelay(true));
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut connected) => return,
            changed = mode.changed() => if changed.is_err() { return },
        }
        // To the broker, the connection stays open but silent.
        broker = Some(connected);
    }
    if *mode.borrow() == Mode::Blackhole {
        tokio::select! {
            () = swallow(&mut client) => {}
            _ = mode.changed() => {}
        }
    }
    drop(broker);
}

/// Reads and discards everything until the client closes its side.
async fn swallow(client: &mut TcpStream) {
    let mut buffer = [0_u8; 4096];
    while let Ok(1..) = client.read(&mut buffer).await {}
}
