//! NeverStale: a commit knows at least as much as the commit that it overwrites, about ownership, mappings
//! and the source. It also knows all mappings that existed when its owner took over.

use sprag_core::ids::MappingTopicTag;

use super::{Invariant, Violation};
use crate::truth::{Ours, SourceCommit, Truth, stamp_of};

/// Checks one commit.
#[must_use]
pub fn check(truth: &Truth, ours: &Ours) -> Option<Violation> {
    not_caught_up(truth, ours).or_else(|| older(truth, ours))
}

/// Whether the owner had not read all mappings that existed when it took over.
fn not_caught_up(truth: &Truth, ours: &Ours) -> Option<Violation> {
    if ours.refresh || truth.ends_may_be_stale {
        return None;
    }
    let stamp = &ours.stamp;
    let then = truth.taken_over.get(&(stamp.shard, stamp.fence))?;
    let tag = MappingTopicTag::of(then.topic?);
    if tag != stamp.mapping_topic {
        let older = truth.mapping_topic(stamp.mapping_topic) < truth.mapping_topic(tag);
        return older.then(|| {
            let fence = stamp.fence;
            let detail =
                format!("from a mapping topic that no longer existed when fence {fence} was taken");
            Violation::of(Invariant::NeverStale, ours, detail)
        });
    }
    let end = *then.ends.get(&stamp.mapping_partition.get())?;
    (stamp.as_of.get() < end).then(|| {
        let detail = format!(
            "as-of {} of mapping partition {}, which ended at {end} when fence {} was taken",
            stamp.as_of, stamp.mapping_partition, stamp.fence
        );
        Violation::of(Invariant::NeverStale, ours, detail)
    })
}

/// Whether the commit that it overwrote knew more.
fn older(truth: &Truth, ours: &Ours) -> Option<Violation> {
    let (before, _) = stamp_of(ours.before.as_ref()?)?;
    if before == ours.stamp || truth.is_guarded_race(ours) {
        return None;
    }
    let stamp = &ours.stamp;
    let violation = |detail| Some(Violation::of(Invariant::NeverStale, ours, detail));
    if stamp.fence < before.fence {
        let (now, was) = (stamp.fence, before.fence);
        return violation(format!("fence {now} overwrote fence {was}"));
    }
    if truth.mapping_topic(stamp.mapping_topic) < truth.mapping_topic(before.mapping_topic) {
        let (now, was) = (stamp.mapping_topic, before.mapping_topic);
        return violation(format!("mapping topic {now} overwrote {was}, which was created later"));
    }
    let same_log = stamp.mapping_topic == before.mapping_topic
        && stamp.mapping_partition == before.mapping_partition;
    if same_log && stamp.as_of < before.as_of {
        let (now, was) = (stamp.as_of, before.as_of);
        return violation(format!("as-of {now} overwrote as-of {was}"));
    }
    if stamp.incarnation != before.incarnation {
        return None;
    }
    let commits = truth.source_commits(&ours.group, &ours.at);
    let is = |offset: i64| move |it: &SourceCommit| it.commit.offset == offset;
    let newest_now = commits.iter().rposition(is(stamp.source.get()));
    let oldest_before = commits.iter().position(is(before.source.get()));
    match (newest_now, oldest_before) {
        (Some(now), Some(was)) if now < was => violation(format!(
            "source offset {}, which the group left before it committed {}, overwrote the latter",
            stamp.source, before.source
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, Says, settled};

    #[test]
    fn newer_knowledge_may_overwrite_and_may_go_back() {
        let (mut made, _, _) = settled(false);
        made.copied(10, 10, true);
        made.group_is_at(0, 3);
        let (producer, fence) = made.takes_over("sprag-1");
        made.looks("sprag-1");
        made.commits("sprag-1", &producer, Says { fence, as_of: 2, source: 3 }, 3);
        assert_eq!(made.broken(), Vec::<String>::new());
    }

    #[test]
    fn less_of_the_mappings_must_not_overwrite_more() {
        let (mut made, producer, fence) = settled(false);
        made.copied(10, 10, true);
        made.commits("sprag-0", &producer, Says { fence, as_of: 2, source: 5 }, 5);
        made.looks("sprag-0");
        made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 5 }, 5);
        let broken = made.broken();
        assert!(
            broken[0].contains("NeverStale") && broken[0].contains("as-of 1 overwrote as-of 2")
        );
    }

    #[test]
    fn an_owner_that_has_not_read_all_must_not_commit_at_all() {
        let mut made = MadeUp::new(false);
        made.copied(0, 5, true);
        made.copied(5, 5, true);
        made.group_is_at(0, 3);
        let (producer, fence) = made.takes_over("sprag-0");
        made.looks("sprag-0");
        made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 3 }, 3);
        let broken = made.broken();
        assert!(
            broken[0].contains("NeverStale") && broken[0].contains("which ended at 2"),
            "{broken:?}"
        );
    }

    #[test]
    fn a_position_that_the_group_left_must_not_overwrite_where_it_went() {
        let (mut made, producer, fence) = settled(false);
        made.group_is_at(0, 8);
        made.looks("sprag-0");
        made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 8 }, 8);
        made.looks("sprag-0");
        made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 5 }, 5);
        let broken = made.broken();
        assert!(broken[0].contains("source offset 5, which the group left"), "{broken:?}");
    }

    #[test]
    fn guarded_mode_is_excused_once_after_each_look_and_no_more() {
        for (again, expected) in [(false, 0), (true, 1)] {
            let (mut made, _, fence) = settled(true);
            made.copied(10, 10, true);
            made.looks("sprag-0");
            let (_, later) = made.takes_over("sprag-1");
            made.looks("sprag-1");
            let older = Says { fence, as_of: 1, source: 5 };
            if again {
                made.commits_plainly("sprag-0", older, 5);
            }
            made.commits_plainly("sprag-1", Says { fence: later, as_of: 2, source: 5 }, 5);
            made.commits_plainly("sprag-0", older, 5);
            assert_eq!(made.broken().len(), expected, "{:?}", made.broken());
        }
    }
}
