//! The configuration keys that decide the core's policy.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::group_filter::GroupFilter;

/// How offsets are committed (`groups.commitMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommitMode {
    /// In the shard's transactions, so that the broker refuses a zombie's commit.
    Fenced,
    /// With plain commits right after a check, for targets without transactions.
    Guarded,
}

/// What to do with a foreign commit on the target (`groups.onForeignCommit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnForeignCommit {
    /// Leave the whole group alone.
    Hold,
    /// Overwrite the foreign commit if the new offset is higher.
    ForwardOnly,
    /// Overwrite the foreign commit.
    Overwrite,
}

/// What to do when the source group moves back (`groups.onSourceRewind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnSourceRewind {
    /// Move the target back too.
    Follow,
    /// Leave the target where it is.
    Hold,
}

/// What to do when the stored offset turns out to skip records (`groups.onCorrection`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnCorrection {
    /// Move it back so that nothing is skipped.
    Follow,
    /// Leave the stored offset as it is.
    Hold,
}

/// What to do with a position below the first mapping (`groups.onBelowFirstMapping`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnBelowFirstMapping {
    /// Commit nothing.
    Hold,
    /// Commit the target's log start offset.
    LogStart,
}

/// What to do when two publishers map the same source range
/// (`errorHandling.onMultipleTargetCommittedOffsets`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnMultipleMappings {
    /// End the process.
    Fail,
    /// Continue with the staircase, and log it once.
    Ignore,
}

/// What to do when a group has members on the target
/// (`errorHandling.onActiveConsumerGroupCommit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnActiveGroup {
    /// End the process.
    Fail,
    /// Hold that group only.
    Ignore,
}

/// All policy settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The pipeline's name.
    pub pipeline: String,
    /// The prefix of our stamps (`groups.offsetGuardPrefix`): not empty, without `:` and `|`.
    pub guard_prefix: String,
    /// Former prefixes, whose stamps still count as ours (`groups.acceptedGuardPrefixes`).
    pub accepted_guard_prefixes: Vec<String>,
    /// Whether the guard compares stamps (`features.applyMappingsGuard`).
    pub apply_mappings_guard: bool,
    /// See [`CommitMode`].
    pub commit_mode: CommitMode,
    /// See [`OnForeignCommit`].
    pub on_foreign_commit: OnForeignCommit,
    /// See [`OnSourceRewind`].
    pub on_source_rewind: OnSourceRewind,
    /// See [`OnCorrection`].
    pub on_correction: OnCorrection,
    /// See [`OnBelowFirstMapping`].
    pub on_below_first_mapping: OnBelowFirstMapping,
    /// See [`OnMultipleMappings`].
    pub on_multiple_mappings: OnMultipleMappings,
    /// See [`OnActiveGroup`].
    pub on_active_group: OnActiveGroup,
    /// How much later than a doubtful read the read that confirms it must be (`groups.confirmAfter`).
    pub confirm_after: Duration,
    /// How old a commit of ours may become before it is written again (`groups.refreshInterval`).
    pub refresh_interval: Duration,
    /// How long to wait between two rounds of a group, and between two listings of groups
    /// (`groups.pollInterval`).
    pub poll_interval: Duration,
    /// Which groups are synced.
    pub groups: GroupFilter,
}

impl Policy {
    /// The default policy for a pipeline of this name.
    #[must_use]
    pub fn for_pipeline(name: &str) -> Self {
        Self {
            pipeline: name.to_owned(),
            guard_prefix: "k2k_".to_owned(),
            accepted_guard_prefixes: Vec::new(),
            apply_mappings_guard: true,
            commit_mode: CommitMode::Fenced,
            on_foreign_commit: OnForeignCommit::Hold,
            on_source_rewind: OnSourceRewind::Follow,
            on_correction: OnCorrection::Follow,
            on_below_first_mapping: OnBelowFirstMapping::Hold,
            on_multiple_mappings: OnMultipleMappings::Ignore,
            on_active_group: OnActiveGroup::Ignore,
            confirm_after: Duration::from_secs(10),
            refresh_interval: Duration::from_secs(24 * 3600),
            poll_interval: Duration::from_secs(5),
            groups: GroupFilter::all(name),
        }
    }
}
