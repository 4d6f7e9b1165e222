//! Which of a group's source partitions are mapped to which target partitions, for the current
//! incarnation of the topics.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Decision, Round, Subject};
use crate::event::{SourceCommit, Topics};
use crate::failure::{Failure, FailureClass};
use crate::ids::{SourcePartition, TargetPartition, TopicId};
use crate::index::{Copies, Lineage};
use crate::verdict::{HoldReason, Verdict};

/// A source partition that is mapped to a target partition.
pub(super) struct Claim<'a> {
    pub(super) source: &'a SourcePartition,
    pub(super) commit: &'a SourceCommit,
    pub(super) copies: &'a Copies,
    pub(super) ids: (TopicId, TopicId),
}

/// The claims to each target partition. A source partition without a claim is held, or has no verdict in
/// this round.
pub(super) fn claims<'a>(
    round: &Round<'a>,
    commits: &'a [(SourcePartition, SourceCommit)],
    decision: &mut Decision,
) -> BTreeMap<TargetPartition, Vec<Claim<'a>>> {
    let mut claims: BTreeMap<TargetPartition, Vec<Claim<'a>>> = BTreeMap::new();
    for (source, commit) in commits {
        let mut mapped = false;
        for (lineage, copies) in round.index.lineages(source) {
            let ids = match present_ids(round.topics, source, lineage) {
                Ok(Some(ids)) => ids,
                Ok(None) => continue,
                Err(Absent::Held(reason)) => {
                    mapped = true;
                    let target = Some(lineage.target.clone());
                    let subject = Subject { source: source.clone(), target };
                    decision.verdicts.insert(subject, Verdict::Hold(reason));
                    continue;
                }
                Err(Absent::NotYet) => {
                    mapped = true;
                    continue;
                }
                Err(Absent::Unknown(failure)) => {
                    mapped = true;
                    decision.unknown = Some(failure);
                    continue;
                }
            };
            mapped = true;
            let claim = Claim { source, commit, copies, ids };
            claims.entry(lineage.target.clone()).or_default().push(claim);
        }
        if !mapped {
            let subject = Subject { source: source.clone(), target: None };
            decision.verdicts.insert(subject, Verdict::Hold(HoldReason::NoMapping));
        }
    }
    claims
}

/// Why the current topic ids are not known.
enum Absent {
    Held(HoldReason),
    Unknown(Failure),
    /// The first mapping arrived after this round had requested its topics. The next round reads them.
    NotYet,
}

/// The current topic ids; `None` if the lineage belongs to an earlier incarnation.
fn present_ids(
    topics: &Topics,
    source: &SourcePartition,
    lineage: &Lineage,
) -> Result<Option<(TopicId, TopicId)>, Absent> {
    let source_id = topic_id(topics.source.get(&source.topic), HoldReason::SourceMissing)?;
    let target_id = topic_id(topics.target.get(&lineage.target.topic), HoldReason::TargetMissing)?;
    let present = (source_id, target_id);
    Ok(lineage.ids.is_none_or(|ids| ids == present).then_some(present))
}

fn topic_id(
    read: Option<&Result<TopicId, Failure>>,
    missing: HoldReason,
) -> Result<TopicId, Absent> {
    match read {
        Some(Ok(id)) => Ok(*id),
        Some(Err(failure)) if failure.class == FailureClass::Missing => Err(Absent::Held(missing)),
        Some(Err(failure)) => Err(Absent::Unknown(failure.clone())),
        None => Err(Absent::NotYet),
    }
}
