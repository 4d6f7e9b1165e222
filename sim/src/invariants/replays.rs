//! NeverSkip with sparse mappings, as far as it is promised. While the replicator copies records again
//! (its syncs went back), no position below the source's log end offset of that time is translated.
//! No commit lies below the target's log start, where a consumer would fall back to its reset policy.

use sprag_core::ids::MappingTopicTag;
use sprag_core::mapping::MappingRecord;

use super::copies::is_complete;
use super::{Invariant, Violation};
use crate::scenario::{Publisher, Scenario};
use crate::truth::{Clusters, Ours, Truth};
use crate::wire::Partition;

/// Checks one commit.
#[must_use]
pub fn check(
    scenario: &Scenario,
    truth: &Truth,
    clusters: Clusters<'_>,
    ours: &Ours,
) -> Option<Violation> {
    if ours.refresh {
        return None;
    }
    below_start(truth, ours).or_else(|| in_replay(scenario, truth, clusters, ours))
}

/// Whether the log start was above the committed offset before the read that the commit was decided from.
/// The log start is read after that.
fn below_start(truth: &Truth, ours: &Ours) -> Option<Violation> {
    // In `guarded` mode the last read is the one that verified.
    let look = truth.look(ours, &ours.at).filter(|_| !ours.plain)?;
    let (start, offset) = (truth.logs.start(&ours.at, look), ours.after.offset);
    (offset < start).then(|| {
        let detail = format!("{offset} is below the log start {start}");
        Violation::of(Invariant::NeverSkip, ours, detail)
    })
}

fn in_replay(
    scenario: &Scenario,
    truth: &Truth,
    clusters: Clusters<'_>,
    ours: &Ours,
) -> Option<Violation> {
    let sparse = matches!(scenario.shape.publisher, Publisher::Sparse { .. });
    let topic = clusters.target.topics().id(&truth.names.mapping_topic)?;
    let same = MappingTopicTag::of(topic) == ours.stamp.mapping_topic;
    if !sparse || !same || !is_complete(scenario) {
        return None;
    }
    let source = truth.source_of(&ours.at)?;
    let end = replays_until(truth, ours, &source)?;
    let position = ours.stamp.source.get();
    (position < end).then(|| {
        let detail = format!("source offset {position} is translated in a replay up to {end}");
        Violation::of(Invariant::NeverSkip, ours, detail)
    })
}

/// A lower bound for the source offset up to which records are copied again, according to the syncs that
/// the commit knew.
fn replays_until(truth: &Truth, ours: &Ours, source: &Partition) -> Option<i64> {
    let replay = last_replay(truth, ours, source)?;
    (replay.newest + 1 < replay.until).then_some(replay.until)
}

/// The as-of below which every replay is over, because the commit translated a position that the last one
/// covered.
#[must_use]
pub fn over(scenario: &Scenario, truth: &Truth, ours: &Ours) -> Option<i64> {
    let sparse = matches!(scenario.shape.publisher, Publisher::Sparse { .. });
    if ours.refresh || !sparse || !is_complete(scenario) {
        return None;
    }
    let replay = last_replay(truth, ours, &truth.source_of(&ours.at)?)?;
    (ours.stamp.source.get() < replay.until).then(|| ours.stamp.as_of.get())
}

/// A replay, as the syncs show it.
struct LastReplay {
    /// A lower bound for the source offset at which it ends.
    until: i64,
    /// The source offset of the newest sync.
    newest: i64,
}

/// The last replay according to the syncs that the commit knew.
fn last_replay(truth: &Truth, ours: &Ours, source: &Partition) -> Option<LastReplay> {
    let at = Partition { topic: truth.names.mapping_topic.clone(), partition: 0 };
    let (mut newest, mut until) = (0, None);
    for ((_, number), record) in truth.mappings.range((0, 0)..(0, ours.stamp.as_of.get())) {
        let MappingRecord::Sync(sync) = record else {
            continue;
        };
        if Partition::from(&sync.source) != *source {
            continue;
        }
        let offset = sync.source_offset.get();
        if offset < newest {
            until = Some(truth.logs.end_when_published(source, &at, *number));
        }
        newest = offset;
    }
    until.map(|until| LastReplay { until, newest })
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{Says, settled};

    #[test]
    fn an_offset_below_the_log_start_of_the_look_is_out_of_range() {
        for (before_the_look, expected) in [(true, true), (false, false)] {
            let (mut made, producer, fence) = settled(false);
            made.group_is_at(0, 7);
            if before_the_look {
                made.trims(8);
            }
            made.looks("sprag-0");
            if !before_the_look {
                made.trims(8);
            }
            made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 7 }, 7);
            let found = made.broken().iter().any(|it| it.contains("7 is below the log start 8"));
            assert_eq!(found, expected, "{:?}", made.broken());
        }
    }
}
