//! A child process whose output is kept line by line while it runs, so that a test can wait for a
//! line.

use super::DEADLINE;
use super::process::{Process, Signal};
use super::wait::{eventually, try_eventually};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const LINES_SHOWN: usize = 40;
const STREAMS: usize = 2;

/// One line of output, from either stream.
#[derive(Clone, Debug)]
pub(crate) struct LogLine {
    /// As printed, without the line ending.
    pub(crate) text: String,
    /// Parsed, if it is JSON.
    pub(crate) json: Option<serde_json::Value>,
}

impl LogLine {
    fn new(text: String) -> Self {
        let json = serde_json::from_str(&text).ok();
        Self { text, json }
    }

    /// A field of a structured line, at the top level or under `fields`.
    pub(crate) fn field(&self, name: &str) -> Option<&serde_json::Value> {
        let json = self.json.as_ref()?;
        json.get(name).or_else(|| json.get("fields")?.get(name))
    }

    /// The `message` of a structured line, or the whole text of any other.
    pub(crate) fn message(&self) -> &str {
        self.field("message").and_then(serde_json::Value::as_str).unwrap_or(&self.text)
    }
}

/// A process and its output so far. It ends on drop.
pub(crate) struct Logged {
    name: String,
    process: Process,
    output: Arc<Output>,
}

#[derive(Default)]
struct Output {
    state: Mutex<OutputState>,
    changed: Condvar,
}

#[derive(Default)]
struct OutputState {
    lines: Vec<LogLine>,
    closed_streams: usize,
}

impl Logged {
    /// Starts `command` with both output streams captured and an empty standard input.
    pub(crate) fn spawn(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::spawn(name, command);
        let output = Arc::new(Output::default());
        let stdout = process.child_mut().stdout.take().expect("its standard output");
        let stderr = process.child_mut().stderr.take().expect("its standard error");
        follow(stdout, &output);
        follow(stderr, &output);
        Self { name: name.to_owned(), process, output }
    }

    /// Every line so far, in the order read.
    pub(crate) fn log(&self) -> Vec<LogLine> {
        self.output.state().lines.clone()
    }

    /// The number of lines so far, as a start for [`Logged::wait_for_after`].
    pub(crate) fn mark(&self) -> usize {
        self.output.state().lines.len()
    }

    /// Returns the first line, old or new, for which `fits` holds.
    ///
    /// # Panics
    /// After `deadline`, or if the output ends without such a line. The message shows the last
    /// lines.
    #[track_caller]
    pub(crate) fn wait_for(
        &self,
        deadline: Duration,
        what: &str,
        fits: impl Fn(&LogLine) -> bool,
    ) -> LogLine {
        self.wait_for_after(0, deadline, what, fits)
    }

    /// Like [`Logged::wait_for`], among the lines after the first `mark`.
    #[track_caller]
    pub(crate) fn wait_for_after(
        &self,
        mark: usize,
        deadline: Duration,
        what: &str,
        fits: impl Fn(&LogLine) -> bool,
    ) -> LogLine {
        let end = Instant::now() + deadline;
        let mut state = self.output.state();
        let mut seen = mark;
        loop {
            if let Some(line) = state.lines.iter().skip(seen).find(|line| fits(line)) {
                return line.clone();
            }
            seen = seen.max(state.lines.len());
            let left = end.saturating_duration_since(Instant::now());
            let ended = state.closed_streams == STREAMS;
            if ended || left.is_zero() {
                drop(state);
                let why = if ended { "its output ended" } else { "the deadline passed" };
                panic!("{} did not log {what}: {why}; {}", self.name, self.tail());
            }
            state = self.output.wait(state, left);
        }
    }

    /// Waits until it ends by itself and all of its output has been read.
    ///
    /// # Panics
    /// After `deadline`. The message shows the last lines.
    #[track_caller]
    pub(crate) fn wait_for_exit(&mut self, deadline: Duration) -> ExitStatus {
        let process = &mut self.process;
        match try_eventually(deadline, || process.exit_status()) {
            Ok(status) => {
                self.await_end_of_output();
                status
            }
            Err(_) => panic!("{} still runs after {deadline:?}; {}", self.name, self.tail()),
        }
    }

    /// The exit status, or `None` while it runs.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        self.process.exit_status()
    }

    /// Sends a signal; see [`Process::signal`].
    #[track_caller]
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Sends SIGKILL. Returns once the process is gone and all of its output has been read.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        let status = self.process.kill();
        self.await_end_of_output();
        status
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn await_end_of_output(&self) {
        let what = format!("the end of the output of {}", self.name);
        eventually(DEADLINE, &what, || self.output.state().closed_streams == STREAMS);
    }

    fn tail(&self) -> String {
        let lines = self.log();
        let from = lines.len().saturating_sub(LINES_SHOWN);
        let shown: Vec<&str> = lines[from..].iter().map(|line| line.text.as_str()).collect();
        format!("the last lines of its output:\n{}", shown.join("\n"))
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}: {}", self.name, self.tail());
        }
    }
}

impl Output {
    fn state(&self) -> std::sync::MutexGuard<'_, OutputState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(
        &self,
        state: std::sync::MutexGuard<'a, OutputState>,
        at_most: Duration,
    ) -> std::sync::MutexGuard<'a, OutputState> {
        self.changed.wait_timeout(state, at_most).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Reads a stream to its end in its own thread.
fn follow(stream: impl Read + Send + 'static, output: &Arc<Output>) {
    let output = Arc::clone(output);
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { break };
            let line = LogLine::new(String::from_utf8_lossy(&line).into_owned());
            output.state().lines.push(line);
            output.changed.notify_all();
        }
        output.state().closed_streams += 1;
        output.changed.notify_all();
    });
}
