//! The built `sprag`, run as its users run it.

use super::broker::new_folder;
use super::logged::{LogLine, Logged};
use super::process::Signal;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sprag");

/// A running `sprag start -f <file> --log-format json`. Ended when dropped.
pub(crate) struct Sprag {
    process: Logged,
    folder: TempDir,
}

impl Sprag {
    /// Starts the daemon with this configuration (YAML text).
    pub(crate) fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// Like [`Sprag::start`], with environment variables of its own.
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

    /// Its configuration file, for other commands (`plan`, `status`) on the same pipeline.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("sprag.yaml")
    }

    /// Every line that it logged so far.
    pub(crate) fn log(&self) -> Vec<LogLine> {
        self.process.lines()
    }

    /// How many lines it logged so far: where [`Sprag::wait_for_after`] may start.
    pub(crate) fn mark(&self) -> usize {
        self.process.mark()
    }

    /// The first line of its log, old or new, that fits; see [`Logged::wait_for`].
    #[track_caller]
    pub(crate) fn wait_for(
        &self,
        deadline: Duration,
        what: &str,
        fits: impl Fn(&LogLine) -> bool,
    ) -> LogLine {
        self.process.wait_for(deadline, what, fits)
    }

    /// Like [`Sprag::wait_for`], among the lines after the first `mark`.
    #[track_caller]
    pub(crate) fn wait_for_after(
        &self,
        mark: usize,
        deadline: Duration,
        what: &str,
        fits: impl Fn(&LogLine) -> bool,
    ) -> LogLine {
        self.process.wait_for_after(mark, deadline, what, fits)
    }

    /// SIGSTOP: from here on it is a zombie in the making.
    pub(crate) fn stop(&mut self) {
        self.process.signal(Signal::Stop);
    }

    /// SIGCONT: it goes on with whatever it believed when it was stopped.
    pub(crate) fn cont(&mut self) {
        self.process.signal(Signal::Continue);
    }

    /// SIGTERM: please shut down; [`Sprag::wait_for_exit`] tells how it did.
    pub(crate) fn term(&mut self) {
        self.process.signal(Signal::Term);
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        self.process.kill()
    }

    /// The exit status, or none while it runs.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        self.process.exit_status()
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub(crate) fn wait_for_exit(&mut self, deadline: Duration) -> ExitStatus {
        self.process.wait_for_exit(deadline)
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// Runs any other command of `sprag` to its end: its exit status and every line that it printed.
///
/// # Panics
/// When it does not end within `deadline`.
#[track_caller]
pub(crate) fn run(arguments: &[&str], deadline: Duration) -> (ExitStatus, Vec<LogLine>) {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    let mut process = Logged::spawn(&format!("sprag {}", arguments.join(" ")), command);
    let status = process.wait_for_exit(deadline);
    (status, process.lines())
}
