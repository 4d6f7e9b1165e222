//! `sprag check`: whether everything is there that the daemon needs, and what grants what is not.
//!
//! Each step does once what the daemon does all the time, in a way that disturbs nobody: the
//! producer has a transactional.id of its own under the daemon's prefix, and the offsets it writes
//! are aborted.

mod brokers;
mod mappings;
mod report;
mod source;
mod target;

use std::rc::Rc;

use crate::config::Config;
use crate::kafka::client::AdminClient;
use crate::kafka::clock::ProcessClock;
use crate::kafka::connect::plain;

pub use report::{Finding, Report, State};

/// Tries everything; it fails nowhere, what fails is in the report.
pub async fn check(config: &Config) -> Report {
    let clock = ProcessClock::start();
    let source = Rc::new(AdminClient::new(plain(&config.source.admin), "source", clock));
    let target = Rc::new(AdminClient::new(plain(&config.target.admin), "target", clock));
    let mut report = Report::default();
    let groups = source::check(config, &source, &mut report).await;
    if groups.is_some() {
        mappings::check(
            config,
            if config.mapping.on_source { &source } else { &target },
            &mut report,
        )
        .await;
    }
    let groups = groups.unwrap_or_default();
    target::check(config, (&source, &target), &groups, &mut report).await;
    report
}
