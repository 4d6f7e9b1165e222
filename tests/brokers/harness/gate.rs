//! A gate passes, swallows and refuses connections, including those that are already open.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::support::DEADLINE;
use crate::support::gate::{Gate, Mode};
use crate::support::wait::eventually;

/// Answers each byte with the same byte, on every connection.
fn echo() -> (u16, TcpListener) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepting = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        for connection in accepting.incoming() {
            let Ok(mut connection) = connection else { return };
            std::thread::spawn(move || {
                let mut byte = [0];
                while let Ok(1) = connection.read(&mut byte) {
                    let _ = connection.write_all(&byte);
                }
            });
        }
    });
    (port, listener)
}

fn connect(gate: &Gate) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", gate.port())).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

fn echoed(stream: &mut TcpStream) -> std::io::Result<bool> {
    stream.write_all(b"x")?;
    let mut byte = [0];
    Ok(stream.read(&mut byte)? == 1 && byte == *b"x")
}

fn answers(stream: &mut TcpStream) -> bool {
    echoed(stream).is_ok_and(|echoed| echoed)
}

/// Whether it takes bytes and returns none, without closing.
fn is_swallowed(stream: &mut TcpStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let silent =
        |error: std::io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    let swallowed = echoed(stream).is_err_and(silent);
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    swallowed
}

#[test]
fn open_and_new_connections_follow_the_mode() {
    let (port, _listener) = echo();
    let gate = Gate::to(port);
    let mut earlier = connect(&gate);
    assert!(answers(&mut earlier));

    gate.set(Mode::Blackhole);
    eventually(DEADLINE, "the open connection to be swallowed", || is_swallowed(&mut earlier));
    let mut later = connect(&gate);
    assert!(is_swallowed(&mut later), "a new connection is accepted and swallowed");

    gate.set(Mode::Pass);
    for stream in [&mut earlier, &mut later] {
        eventually(DEADLINE, "a swallowed connection to be closed", || !answers(stream));
        assert!(!is_swallowed(stream));
    }
    let mut again = connect(&gate);
    assert!(answers(&mut again));

    gate.set(Mode::Refuse);
    eventually(DEADLINE, "connections to be refused", || {
        let refused = TcpStream::connect(("127.0.0.1", gate.port()));
        refused.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    assert!(!answers(&mut again), "an open connection is closed");

    gate.set(Mode::Pass);
    eventually(DEADLINE, "connections to be accepted again", || {
        TcpStream::connect(("127.0.0.1", gate.port())).is_ok()
    });
    assert!(answers(&mut connect(&gate)));
}

#[test]
fn a_gate_that_is_dropped_refuses() {
    let (port, _listener) = echo();
    let gate = Gate::to(port);
    let address = ("127.0.0.1", gate.port());
    let mut open = connect(&gate);
    assert!(answers(&mut open));
    drop(gate);
    assert!(!answers(&mut open));
    assert!(TcpStream::connect(address).is_err());
}
