//! Checks the source cluster.

use std::rc::Rc;

use super::report::{Report, acl};
use crate::config::Config;
use crate::kafka::client::{AdminClient, REQUEST_TIMEOUT};
use crate::kafka::clock::ProcessClock;
use crate::kafka::connect::no_answer;
use crate::kafka::groups::KafkaSourceGroups;
use crate::ports::SourceGroups;
use sprag_core::event::SourceListing;
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::GroupId;

/// Checks the source. Returns the groups that would be synced, or `None` if no broker answers.
pub(super) async fn check(
    config: &Config,
    source: &Rc<AdminClient>,
    report: &mut Report,
) -> Option<Vec<GroupId>> {
    if !reach(source, report).await {
        report.skipped("source: groups", "the source cannot be reached");
        return None;
    }
    Some(groups(config, source, report).await)
}

/// Checks whether a broker answers.
pub(super) async fn reach(client: &AdminClient, report: &mut Report) -> bool {
    let what = format!("{}: reach a broker", client.side);
    let id = match client.present() {
        Ok(admin) => admin.cluster_id(REQUEST_TIMEOUT).await,
        Err(failure) => {
            report.missing(&what, &failure, "");
            return false;
        }
    };
    match id {
        Some(id) => report.ok(&what, format!("cluster {id}")),
        None => {
            let remedy = format!(
                "make sure that the cluster is up, and that bootstrap.servers, security.protocol and \
                 the credentials in {}.kafka are right",
                client.side
            );
            let failure = Failure::new(FailureClass::Retry, no_answer(client));
            report.missing(&what, &failure, &remedy);
            return false;
        }
    }
    true
}

async fn groups(config: &Config, source: &Rc<AdminClient>, report: &mut Report) -> Vec<GroupId> {
    let port = KafkaSourceGroups::new(Rc::clone(source), ProcessClock::start());
    let listed = match port.list().await {
        Ok(SourceListing { groups, missing: None, .. }) => groups,
        Ok(SourceListing { missing: Some(failure), .. }) | Err(failure) => {
            let remedy = acl(&["Describe"], "--cluster");
            report.missing("source: list groups", &failure, &remedy);
            return Vec::new();
        }
    };
    let all = listed.len();
    let filter = &config.policy.groups;
    let selected: Vec<GroupId> =
        listed.into_iter().filter(|group| filter.admits(group).is_ok()).collect();
    let found = format!("{all} groups found, {} of them selected", selected.len());
    if selected.is_empty() {
        let remedy = "check groups.consumerGroups and groups.exclude; a principal without Describe on \
                      the cluster sees only the groups that it may describe";
        report.warn("source: list groups", found, remedy);
    } else {
        report.ok("source: list groups", found);
    }
    let mut read = 0;
    for group in &selected {
        match port.offsets(group, None, None).await {
            Ok(_) => read += 1,
            Err(failure) => {
                let remedy = acl(&["Describe", "Read"], &format!("--group {group}"));
                report.missing("source: read committed offsets", &failure, &remedy);
                return selected;
            }
        }
    }
    report.ok("source: read committed offsets", format!("of {read} groups"));
    selected
}
