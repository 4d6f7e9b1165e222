//! The command line: one file per command. Exit codes: 0 for success, 1 if the command failed or the
//! daemon cannot continue, 2 if the command line or the configuration is invalid.

mod check;
mod config;
mod demo;
mod log;
mod start;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{ConfigErrors, Loaded, load};
use crate::kafka::properties;

/// Translates consumer-group offsets between two Kafka clusters and never rewinds one by mistake.
#[derive(Debug, Parser)]
#[command(name = "sprag", version, about, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: keep the target's consumer groups in sync until it is stopped.
    #[command(visible_alias = "run")]
    Start(StartArgs),
    /// Check connections, topics, formats and permissions, and report what is missing.
    Check(CheckArgs),
    /// Run a demonstration on two clusters inside this process.
    Demo(DemoArgs),
    /// Inspect the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every effective value and its origin. Secrets are redacted.
    Show {
        #[command(flatten)]
        files: Files,
        /// The output format.
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
}

#[derive(Debug, Args)]
struct StartArgs {
    #[command(flatten)]
    files: Files,
    /// The format of log lines.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    files: Files,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Show the log lines of the instances.
    #[arg(short, long)]
    verbose: bool,
    /// Disable the guard, to see the demo fail.
    #[arg(long, hide = true)]
    break_guard: bool,
}

#[derive(Debug, Args)]
struct Files {
    /// A pipeline file. Can be repeated; later files override earlier ones key by key.
    #[arg(short = 'f', long = "file", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// Plain text for people.
    Table,
    /// JSON for machines.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Plain text for a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

/// Runs the command given on the command line.
#[must_use]
pub fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Start(args) => start::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Config(ConfigCommand::Show { files, output }) => config::show(&files, output),
    }
}

impl Files {
    /// Loads the files. Errors go to standard error.
    fn load(&self) -> Result<Loaded, ExitCode> {
        self.load_or(|errors| complain(&unusable(errors)))
    }

    /// Loads the files. `report` receives the errors.
    fn load_or(&self, report: impl FnOnce(&ConfigErrors)) -> Result<Loaded, ExitCode> {
        let loaded = load(&self.files, &|name| std::env::var(name).ok());
        let known = loaded.and_then(|loaded| properties::refused(&loaded).map(|()| loaded));
        known.map_err(|errors| {
            report(&errors);
            ExitCode::from(2)
        })
    }
}

fn unusable(errors: &ConfigErrors) -> String {
    format!("invalid configuration:\n{errors}")
}

/// Prints a complaint about the command to standard error.
#[expect(clippy::print_stderr, reason = "the one place where a command complains")]
fn complain(message: &str) {
    eprintln!("sprag: {message}");
}

/// Prints a command's result. A write error is ignored: a reader that closed the pipe wants no more.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
