//! Whom an order is about.

use crate::core::action::{Action, Commit, Read};
use crate::core::ids::{GroupId, Shard};

/// The group that an order is about.
pub(super) fn group_of(action: &Action) -> Option<&GroupId> {
    match action {
        Action::Read(Read::SourceOffsets { group, .. } | Read::TargetOffsets { group, .. })
        | Action::Commit(
            Commit::WriteHalf { group, .. }
            | Commit::End { group, .. }
            | Commit::Plain { group, .. },
        ) => Some(group),
        Action::Read(
            Read::ControlTopics { .. }
            | Read::MappingEnds { .. }
            | Read::SourceGroups { .. }
            | Read::TargetGroups { .. }
            | Read::Topics { .. },
        )
        | Action::CheckAssignment { .. }
        | Action::ReadFenceLog { .. }
        | Action::InitTransactions { .. }
        | Action::WriteTakeOver { .. }
        | Action::WriteFenceRecord { .. }
        | Action::DestroyProducer { .. }
        | Action::ReleaseShard { .. }
        | Action::ReadMappings { .. }
        | Action::Report { .. }
        | Action::Stop { .. } => None,
    }
}

/// The shard that an order is about.
pub(super) fn shard_of(action: &Action) -> Option<Shard> {
    match action {
        Action::CheckAssignment { shard, .. }
        | Action::ReadFenceLog { shard, .. }
        | Action::InitTransactions { shard, .. }
        | Action::WriteTakeOver { shard, .. }
        | Action::WriteFenceRecord { shard, .. }
        | Action::DestroyProducer { shard }
        | Action::ReleaseShard { shard } => Some(*shard),
        Action::ReadMappings { .. }
        | Action::Read(_)
        | Action::Commit(_)
        | Action::Report { .. }
        | Action::Stop { .. } => None,
    }
}

/// Whether an order is about the shard, or one of its groups.
pub(super) fn is_for(action: &Action, shard: Shard, of_group: impl Fn(&GroupId) -> bool) -> bool {
    shard_of(action) == Some(shard) || group_of(action).is_some_and(of_group)
}
