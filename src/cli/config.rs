//! `sprag config show`.

use std::process::ExitCode;

use super::{Files, Output, complain, print};
use crate::config::{show_json, show_yaml};

/// Prints the effective configuration.
pub(super) fn show(files: &Files, output: Output) -> ExitCode {
    let loaded = match files.load() {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    for notice in &loaded.notices {
        complain(notice);
    }
    match output {
        Output::Table => print(show_yaml(&loaded).trim_end()),
        Output::Json => print(&show_json(&loaded)),
    }
    ExitCode::SUCCESS
}
