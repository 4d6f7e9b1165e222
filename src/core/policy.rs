//! interim
#![allow(missing_docs)]
use super::ids::GroupId;
use std::time::Duration;
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitMode {
    Fenced,
    Guarded,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnForeignCommit {
    Hold,
    ForwardOnly,
    Overwrite,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnSourceRewind {
    Follow,
    Hold,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnCorrection {
    Follow,
    Hold,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnBelowFirstMapping {
    Hold,
    LogStart,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnMultipleMappings {
    Fail,
    Ignore,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnActiveGroup {
    Fail,
    Ignore,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupFilter;
impl GroupFilter {
    pub fn admits(&self, group: &GroupId) -> Result<(), ()> {
        if group.as_str().starts_with("__") {
            Err(())
        } else {
            Ok(())
        }
    }
}
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    pub pipeline: String,
    pub guard_prefix: String,
    pub accepted_guard_prefixes: Vec<String>,
    pub apply_mappings_guard: bool,
    pub commit_mode: CommitMode,
    pub on_foreign_commit: OnForeignCommit,
    pub on_source_rewind: OnSourceRewind,
    pub on_correction: OnCorrection,
    pub on_below_first_mapping: OnBelowFirstMapping,
    pub on_multiple_mappings: OnMultipleMappings,
    pub on_active_group: OnActiveGroup,
    pub confirm_after: Duration,
    pub refresh_interval: Duration,
    pub poll_interval: Duration,
    pub groups: GroupFilter,
}
impl Policy {
    pub fn for_pipeline(name: &str) -> Self {
        Self {
            pipeline: name.into(),
            guard_prefix: "k2k_".into(),
            accepted_guard_prefixes: vec![],
            apply_mappings_guard: true,
            commit_mode: CommitMode::Fenced,
            on_foreign_commit: OnForeignCommit::Hold,
            on_source_rewind: OnSourceRewind::Follow,
            on_correction: OnCorrection::Follow,
            on_below_first_mapping: OnBelowFirstMapping::Hold,
            on_multiple_mappings: OnMultipleMappings::Ignore,
            on_active_group: OnActiveGroup::Ignore,
            confirm_after: Duration::from_secs(10),
            refresh_interval: Duration::from_secs(86400),
            poll_interval: Duration::from_secs(5),
            groups: GroupFilter,
        }
    }
}
