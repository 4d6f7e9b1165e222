//! The command line: one file per command. Exit codes: 0 done, 1 it failed or cannot go on, 2 the
//! command line or the configuration is wrong.

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

/// Translates consumer-group offsets between two Kafka clusters, and never rewinds one by mistake.
#[derive(Debug, Parser)]
#[command(name = "sprag", version, about, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keep the target's consumer groups in sync, until it is asked to stop.
    #[command(visible_alias = "run")]
    Start(StartArgs),
    /// Try connections, topics, formats and rights, and name what is missing.
    Check(CheckArgs),
    /// See it work, on two clusters inside this process.
    Demo(DemoArgs),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every effective value and where it comes from; secrets are redacted.
    Show {
        #[command(flatten)]
        files: Files,
        /// How to print it.
        #[arg(long, value_enum, default_value_t = Output::Table)]
        output: Output,
    },
}

#[derive(Debug, Args)]
struct StartArgs {
    #[command(flatten)]
    files: Files,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    files: Files,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Debug, Args)]
struct DemoArgs {
    /// How to print what came out.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Show the log lines of the instances.
    #[arg(short, long)]
    verbose: bool,
    /// Leave the guard out where it should block, to see the demo fail.
    #[arg(long, hide = true)]
    break_guard: bool,
}

#[derive(Debug, Args)]
struct Files {
    /// A pipeline file; of several, the later ones win key by key.
    #[arg(short = 'f', long = "file", required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Table,
    /// For machines.
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For a terminal.
    Text,
    /// One JSON object a line.
    Json,
}

/// Runs the command that the process was called with.
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
    /// Loads them; what is wrong goes to standard error.
    fn load(&self) -> Result<Loaded, ExitCode> {
        self.load_or(|errors| complain(&unusable(errors)))
    }

    /// Loads them; `tell` says what is wrong.
    fn load_or(&self, tell: impl FnOnce(&ConfigErrors)) -> Result<Loaded, ExitCode> {
        let loaded = load(&self.files, &|name| std::env::var(name).ok());
        let known = loaded.and_then(|loaded| properties::refused(&loaded).map(|()| loaded));
        known.map_err(|errors| {
            tell(&errors);
            ExitCode::from(2)
        })
    }
}

fn unusable(errors: &ConfigErrors) -> String {
    format!("the configuration is not usable:\n{errors}")
}

/// Says on standard error why the command fails.
#[expect(clippy::print_stderr, reason = "the one place where a command says why it fails")]
fn complain(message: &str) {
    eprintln!("sprag: {message}");
}

/// Prints a command's result. Whoever stopped reading it has what he wanted.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
