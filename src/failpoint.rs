//! Named places where a test can hold the daemon, in order to act between two of its steps.
//!
//! Without the feature `failpoints`, which no release build has, reaching a failpoint does nothing. With
//! the feature, `SPRAG_FAILPOINTS` is the address of the test's listener. A failpoint sends it the line
//! `<point> <group>` and continues when the listener has answered with a line.

use sprag_core::ids::GroupId;

/// A place where the daemon can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The target's offsets were read. Nothing is decided yet.
    BeforeDecision,
    /// The decision is made. The first half (in `guarded` mode, the commit) is not sent yet.
    Decided,
    /// The first half is pending. The partitions that were judged are not re-read yet.
    HalfWritten,
    /// The core has ordered the end of the transaction. It is not ended yet.
    Verified,
    /// In `guarded` mode: the check is recent enough. The commit is not sent yet.
    AgeChecked,
}

/// Reports to the test that `point` was reached for `group`, and waits for its answer.
#[cfg(not(feature = "failpoints"))]
#[expect(clippy::unused_async, reason = "the build with failpoints waits here")]
pub async fn reach(_point: Point, _group: &GroupId) {}

/// Reports to the test that `point` was reached for `group`, and waits for its answer.
#[cfg(feature = "failpoints")]
pub async fn reach(point: Point, group: &GroupId) {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    let Ok(address) = std::env::var("SPRAG_FAILPOINTS") else {
        return;
    };
    // A listener that has gone away must not hold the daemon.
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else {
        return;
    };
    if stream.write_all(format!("{point:?} {group}\n").as_bytes()).await.is_ok() {
        let mut line = String::new();
        let _ = BufReader::new(stream).read_line(&mut line).await;
    }
}
