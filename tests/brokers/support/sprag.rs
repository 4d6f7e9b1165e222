//! The built `sprag` program, run as its users run it.

use super::broker::new_folder;
use super::logged::{LogLine, Logged};
use super::process::Signal;
use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sprag");

/// A running `sprag start -f <file> --log-format json`. It ends on drop.
pub(crate) struct Sprag {
    process: Logged,
    folder: TempDir,
}

impl Sprag {
    /// Starts the daemon with this configuration (YAML text).
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// Like [`Sprag::start`], with additional environment variables.
    pub(crate) fn start_with(config: &str, environment: &[(&str, &str)]) -> Self {
        let folder = new_folder("sprag-");
        let file = folder.path().join("sprag.yaml");
        fs::write(&file, config).expect("a configuration file");
        let mut command = Command::new(PROGRAM);
        command
            .args(["start", "--log-format", "json", "-f"])
            .arg(&file)
            .envs(environment.iter().copied())
            .current_dir(folder.path());
        Self { process: Logged::spawn("sprag start", command), folder }
    }

    /// The configuration file, for other commands on the same pipeline (`config show`).
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("sprag.yaml")
    }

    /// Sends SIGSTOP: if it sleeps longer than its session, it becomes a zombie.
    pub(crate) fn stop(&mut self) {
        self.process.signal(Signal::Stop);
    }

    /// Sends SIGCONT: it continues with whatever it believed when it stopped.
    pub(crate) fn cont(&mut self) {
        self.process.signal(Signal::Continue);
    }

    /// Sends SIGTERM, which asks it to shut down. [`Logged::wait_for_exit`] returns the outcome.
    pub(crate) fn term(&mut self) {
        self.process.signal(Signal::Term);
    }
}

/// [`Logged`] provides its log, its exit status and its process.
impl Deref for Sprag {
    type Target = Logged;

    fn deref(&self) -> &Logged {
        &self.process
    }
}

impl DerefMut for Sprag {
    fn deref_mut(&mut self) -> &mut Logged {
        &mut self.process
    }
}

/// Runs any other command of `sprag` to its end. Returns the exit status and every line that it
/// printed.
///
/// # Panics
/// If it does not end within `deadline`.
#[track_caller]
pub(crate) fn run(arguments: &[&str], deadline: Duration) -> (ExitStatus, Vec<LogLine>) {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    let mut process = Logged::spawn(&format!("sprag {}", arguments.join(" ")), command);
    let status = process.wait_for_exit(deadline);
    (status, process.log())
}
