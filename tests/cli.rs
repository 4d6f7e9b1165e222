//! The `sprag` command as users run it, without any cluster.
#![cfg(feature = "kafka")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Less than the ten seconds that a request to a silent broker may take.
const AT_ONCE: Duration = Duration::from_secs(5);

fn sprag() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sprag"));
    command.env_remove("SPRAG_LOG").stdin(Stdio::null());
    command
}

/// Writes a pipeline file. `common` is the content of `source.kafka.common`.
fn pipeline(folder: &TempDir, common: &str) -> PathBuf {
    let file = folder.path().join("pipeline.yaml");
    let text = format!(
        "name: dr\nsource.kafka.common: {{ {common} }}\n\
         target.kafka.common: {{ bootstrap.servers: '127.0.0.1:1' }}\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

fn run(command: &mut Command) -> (Output, String) {
    let output = command.output().unwrap();
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let text = text.concat();
    (output, text)
}

/// A child process that is killed on drop.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Daemon {
    fn start(file: &Path) -> Self {
        let mut command = sprag();
        command.args(["start", "--log-format", "json", "-f"]).arg(file).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
    }

    #[expect(clippy::disallowed_methods, reason = "a deadline, and a pause between two polls")]
    fn ended_within(&mut self, deadline: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + deadline;
        while Instant::now() < end {
            if let Some(status) = self.0.try_wait().unwrap() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }
}

#[test]
fn a_signal_stops_the_daemon_at_once_while_no_broker_answers() {
    // The listener accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = TempDir::new().unwrap();
    let address = silent.local_addr().unwrap();
    let common = format!(
        "bootstrap.servers: '{address}', security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN, \
         sasl.username: u, sasl.password: hunter2"
    );
    for signal in ["-TERM", "-INT"] {
        let mut daemon = Daemon::start(&pipeline(&folder, &common));
        let mut log = BufReader::new(daemon.0.stderr.take().unwrap());
        let mut lines = String::new();
        while !lines.contains("connecting to the source cluster at") {
            assert!(log.read_line(&mut lines).unwrap() > 0, "{lines}");
        }
        // The daemon has connected and waits for an answer.
        let _connection = silent.accept().unwrap();
        daemon.signal(signal);
        let status = daemon.ended_within(AT_ONCE).expect("it ends while a request is under way");
        assert!(status.success(), "{status}");
        log.read_to_string(&mut lines).unwrap();
        for line in lines.lines() {
            let entry: serde_json::Value = serde_json::from_str(line).expect(line);
            assert!(entry["message"].is_string(), "{line}");
        }
        assert!(lines.contains("stopped") && !lines.contains("hunter2"), "{lines}");
    }
}

#[test]
fn every_command_reports_a_misspelt_password_without_showing_it() {
    let folder = TempDir::new().unwrap();
    let file = pipeline(&folder, "bootstrap.servers: '127.0.0.1:1', sasl.pasword: hunter2");
    let commands: [&[&str]; 4] =
        [&["start"], &["start", "--log-format", "json"], &["check"], &["config", "show"]];
    for arguments in commands {
        let (output, text) = run(sprag().args(arguments).arg("-f").arg(&file));
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("pipeline.yaml:2"), "{text}");
        assert!(text.contains("did you mean sasl.password?"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn an_invalid_log_filter_is_reported_and_silences_nothing() {
    let folder = TempDir::new().unwrap();
    let refused = "bootstrap.servers: '127.0.0.1:1', security.protocol: SASL_SSL, \
                   sasl.mechanism: PLAIN";
    let file = pipeline(&folder, refused);
    let (output, text) = run(sprag().env("SPRAG_LOG", "dbug").args(["start", "-f"]).arg(&file));
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("SPRAG_LOG is ignored") && text.contains("dbug"), "{text}");
    assert!(text.contains("sasl.username and sasl.password must be set"), "{text}");
}

#[test]
fn a_closed_pipe_is_not_a_failure() {
    let folder = TempDir::new().unwrap();
    let file = pipeline(&folder, "bootstrap.servers: '127.0.0.1:1'");
    let mut command = sprag();
    command.args(["config", "show", "-f"]).arg(&file).stdout(Stdio::piped());
    let mut child = Daemon(command.spawn().unwrap());
    drop(child.0.stdout.take());
    assert!(child.0.wait().unwrap().success());
}
