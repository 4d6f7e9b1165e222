//! A loopback proxy in front of one broker. It reads requests as frames, holds one of them back,
//! closes the connection that it came on, and delivers it later.

use super::DEADLINE;
use super::wait::eventually;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The requests that a test may hold back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ApiKey {
    /// Adds the group's partition of `__consumer_offsets` to the transaction.
    AddOffsetsToTxn = 25,
    /// Ends the transaction.
    EndTxn = 26,
    /// Writes the offsets.
    TxnOffsetCommit = 28,
}

/// The proxy. Its threads run until the test process ends.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The broker's address. Until it is known, connections are closed.
    broker: Option<SocketAddr>,
    to_hold: Option<i16>,
    held: Option<Vec<u8>>,
}

/// A request that its client considers lost.
pub(crate) struct LateRequest {
    broker: SocketAddr,
    frame: Vec<u8>,
}

impl Proxy {
    /// Starts to listen. Start the broker with [`Proxy::advertised`] as a property, and pass its
    /// port to [`Proxy::forward_to`].
    pub(crate) fn listen() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
        let address = listener.local_addr().expect("its address");
        let state = Arc::<Mutex<State>>::default();
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                serve(client, &serving);
            }
        });
        Self { address, state }
    }

    /// The broker property that directs clients to the proxy.
    pub(crate) fn advertised(&self) -> (&'static str, String) {
        ("advertised.listeners", format!("PLAINTEXT://{}", self.address))
    }

    /// Forwards connections to this loopback port.
    pub(crate) fn forward_to(&self, port: u16) {
        locked(&self.state).broker = Some(SocketAddr::from(([127, 0, 0, 1], port)));
    }

    /// Holds back the next request of this kind, and closes the connection that it comes on.
    pub(crate) fn hold(&self, key: ApiKey) {
        let mut state = locked(&self.state);
        assert!(state.held.is_none(), "the request that was held back before was never taken");
        state.to_hold = Some(key as i16);
    }

    /// Waits until a request is held back. Call [`Proxy::hold`] first.
    #[track_caller]
    pub(crate) fn wait_until_held(&self) -> LateRequest {
        let frame =
            eventually(DEADLINE, "a request to hold back", || locked(&self.state).held.take());
        let broker = locked(&self.state).broker.expect("the broker's address");
        LateRequest { broker, frame }
    }
}

impl LateRequest {
    /// Sends the request to the broker on a new connection, and returns the error code of the
    /// response. A test may call it repeatedly: a network may deliver a request more than once.
    #[track_caller]
    pub(crate) fn deliver(&self) -> i16 {
        let mut stream = TcpStream::connect(self.broker).expect("the broker");
        stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        stream.write_all(&self.frame).expect("the broker to take the late request");
        let response = frame(&mut stream).expect("an answer to the late request");
        error_code(&self.frame, &response)
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects a client to the broker, with one thread for each direction.
fn serve(client: TcpStream, state: &Arc<Mutex<State>>) {
    let Some(broker) = locked(state).broker else {
        return;
    };
    let Ok(broker) = TcpStream::connect(broker) else {
        return;
    };
    let clone = |stream: &TcpStream| stream.try_clone().expect("a second handle of a connection");
    let (mut from_broker, mut to_client) = (clone(&broker), clone(&client));
    thread::spawn(move || {
        // Whichever side closed, close both.
        let _ = std::io::copy(&mut from_broker, &mut to_client);
        close(&from_broker, &to_client);
    });
    let state = Arc::clone(state);
    thread::spawn(move || {
        pass_on(&client, &broker, &state);
        close(&client, &broker);
    });
}

fn close(one: &TcpStream, other: &TcpStream) {
    // Either side may be closed already.
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

/// Forwards requests until one is to be held back or a side closes.
fn pass_on(mut client: &TcpStream, mut broker: &TcpStream, state: &Mutex<State>) {
    while let Some(request) = frame(&mut client) {
        {
            let mut state = locked(state);
            if state.to_hold == Some(number(&request, 4)) {
                state.to_hold = None;
                state.held = Some(request);
                return;
            }
        }
        if broker.write_all(&request).is_err() {
            return;
        }
    }
}

/// Reads one whole frame, including its size. `None` when the connection ends.
fn frame(stream: &mut impl Read) -> Option<Vec<u8>> {
    let mut frame = vec![0; 4];
    stream.read_exact(&mut frame).ok()?;
    let size = u32::from_be_bytes(frame[..4].try_into().expect("four bytes"));
    frame.resize(4 + usize::try_from(size).expect("a size"), 0);
    stream.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

fn number(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

/// The error code of a response. It follows the throttle time, except in a TxnOffsetCommit, where
/// it is that of the first partition.
fn error_code(request: &[u8], response: &[u8]) -> i16 {
    // Size, correlation id, throttle time.
    let throttled = 4 + 4 + 4;
    let (key, version) = (number(request, 4), number(request, 6));
    if key != ApiKey::TxnOffsetCommit as i16 {
        return number(response, throttled);
    }
    assert!(
        version >= 3,
        "expected a flexible version of TxnOffsetCommit (3 or later), found {version}"
    );
    // Header tags, then one topic: the number of topics, its name, the number of partitions, the
    // partition.
    let name = throttled + 1 + 1;
    let length = usize::from(response[name]);
    assert!(length < 128, "a topic name of more than 126 bytes");
    number(response, name + length + 1 + 4)
}
