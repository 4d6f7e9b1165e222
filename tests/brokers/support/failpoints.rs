//! Holds a running `sprag` at a named place, so that a test can act exactly between two of its
//! steps.

use super::DEADLINE;
use super::wait::eventually;
use sprag::failpoint::Point;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The listener to which one daemon reports every named place that it reaches. The daemon continues
/// at once unless it is to be held there.
pub(crate) struct Failpoints {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    reached: Vec<Place>,
    to_hold: Vec<Place>,
    held: Vec<(Place, TcpStream)>,
}

/// A point and the group for which it was reached, as the daemon writes them.
type Place = (String, String);

/// A daemon that waits at a place. It also continues if this is dropped without [`Held::release`].
pub(crate) struct Held {
    stream: TcpStream,
}

impl Failpoints {
    /// Starts to listen. Pass [`Failpoints::variable`] to the daemon.
    pub(crate) fn listen() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
        let address = listener.local_addr().expect("its address");
        let state = Arc::<Mutex<State>>::default();
        let answering = Arc::clone(&state);
        // Runs until the test process ends: nothing tells it that no more daemons will connect.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                answer(stream, &answering);
            }
        });
        Self { address, state }
    }

    /// The environment variable that makes a daemon report here.
    pub(crate) fn variable(&self) -> (&'static str, String) {
        ("SPRAG_FAILPOINTS", self.address.to_string())
    }

    /// Holds the daemon the next time it reaches `point` for `group`, once.
    pub(crate) fn hold(&self, point: Point, group: &str) {
        self.state().to_hold.push(place(point, group));
    }

    /// Waits until the daemon is held there. Call [`Failpoints::hold`] first.
    #[track_caller]
    pub(crate) fn wait_until_held(&self, point: Point, group: &str) -> Held {
        let wanted = place(point, group);
        let what = format!("the daemon to reach {point:?} for {group}");
        eventually(DEADLINE, &what, || {
            let mut state = self.state();
            match state.held.iter().position(|(place, _)| *place == wanted) {
                Some(at) => Ok(Held { stream: state.held.remove(at).1 }),
                None => Err(format!("it reached {:?}", state.reached)),
            }
        })
    }

    /// How often `point` was reached for `group`, held or not.
    pub(crate) fn times_reached(&self, point: Point, group: &str) -> usize {
        let wanted = place(point, group);
        self.state().reached.iter().filter(|place| **place == wanted).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Lets the daemon continue. Has no effect if it was killed meanwhile.
    pub(crate) fn release(mut self) {
        let _ = self.stream.write_all(b"\n");
    }
}

fn place(point: Point, group: &str) -> Place {
    (format!("{point:?}"), group.to_owned())
}

/// Reads one report. Keeps the connection open if the daemon is to be held at that place.
fn answer(mut stream: TcpStream, state: &Mutex<State>) {
    let mut line = String::new();
    if BufReader::new(&stream).read_line(&mut line).is_err() {
        return;
    }
    let Some((point, group)) = line.trim_end().split_once(' ') else {
        return;
    };
    let reached = (point.to_owned(), group.to_owned());
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.reached.push(reached.clone());
    match state.to_hold.iter().position(|place| *place == reached) {
        Some(at) => {
            state.to_hold.remove(at);
            state.held.push((reached, stream));
        }
        None => {
            // The daemon may be gone already.
            let _ = stream.write_all(b"\n");
        }
    }
}
