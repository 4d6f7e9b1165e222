//! Named places where a test may hold the daemon, to act exactly between two of its steps.
//!
//! Without the feature `failpoints` (no release build has it) reaching one does nothing. With it,
//! and with `SPRAG_FAILPOINTS` set to the address of a listener of the test's, each place that is
//! reached is told to that listener, as one line `<point> <group>`, and goes on when the listener
//! has answered with a line.

use sprag_core::ids::GroupId;

/// Where the daemon may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The target's offsets were read, and nothing is decided yet.
    BeforeDecision,
    /// Decided; the first half (or, in `guarded` mode, the commit) is not sent.
    Decided,
    /// The first half is pending; what was judged is not read again yet.
    HalfWritten,
    /// Read again and found unchanged; the transaction is not ended.
    Verified,
    /// In `guarded` mode: the age of the check was found good, and the commit is not sent.
    AgeChecked,
}

/// Tells the test that `point` was reached for `group`, and waits for its word.
#[cfg(not(feature = "failpoints"))]
#[expect(clippy::unused_async, reason = "the build with failpoints waits here")]
pub async fn reach(_point: Point, _group: &GroupId) {}

/// Tells the test that `point` was reached for `group`, and waits for its word.
#[cfg(feature = "failpoints")]
pub async fn reach(point: Point, group: &GroupId) {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    let Ok(address) = std::env::var("SPRAG_FAILPOINTS") else {
        return;
    };
    // A listener that is gone holds nobody.
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else {
        return;
    };
    if stream.write_all(format!("{point:?} {group}\n").as_bytes()).await.is_ok() {
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line).await;
    }
}
