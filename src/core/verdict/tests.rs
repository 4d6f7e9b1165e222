//! Every reason, as it appears in logs.

use super::*;

#[test]
fn every_reason_can_be_read() {
    let holds = [
        HoldReason::NoSourceOffset,
        HoldReason::NoMapping,
        HoldReason::BelowFirst { first: SourceOffset(100) },
        HoldReason::Replay { until: None },
        HoldReason::Replay { until: Some(SourceOffset(300)) },
        HoldReason::Merged,
        HoldReason::TargetMissing,
        HoldReason::SourceMissing,
        HoldReason::NewerVersion { version: 2 },
        HoldReason::Active,
        HoldReason::BeyondEnd { end: TargetOffset(10) },
        HoldReason::Foreign,
        HoldReason::ForeignSibling,
        HoldReason::OtherPipeline,
        HoldReason::FenceChanged,
        HoldReason::FenceRegressed { stored: Fence(9) },
        HoldReason::Recreated,
        HoldReason::Correction,
        HoldReason::Rewind,
        HoldReason::Unconfirmed,
        HoldReason::PendingTransaction,
    ];
    let behind = |own, truncated| BlockReason::Behind {
        partition: MappingPartition(3),
        stored: MappingOffset(700),
        own,
        truncated,
    };
    let blocks = [
        BlockReason::Stale { stored: Fence(9), own: Fence(7) },
        BlockReason::Refence,
        behind(Some(MappingOffset(600)), false),
        behind(Some(MappingOffset(600)), true),
        behind(None, false),
    ];
    let commits = [
        CommitReason::First,
        CommitReason::Override,
        CommitReason::Reincarnate,
        CommitReason::Correct,
        CommitReason::FollowRewind,
        CommitReason::Advance,
        CommitReason::GuardOff,
    ];
    let keeps = [KeepReason::Same, KeepReason::NotForward, KeepReason::StoredIsSharper];
    let verdicts = holds.into_iter().map(Verdict::Hold);
    let verdicts = verdicts.chain(blocks.into_iter().map(Verdict::Block));
    let verdicts = verdicts.chain(commits.into_iter().map(Verdict::Commit));
    let verdicts = verdicts.chain(keeps.into_iter().map(Verdict::Keep));
    let lines: Vec<String> =
        verdicts.map(|verdict| format!("{}: {verdict}", verdict.name())).collect();
    insta::assert_snapshot!(lines.join("\n"));
}
