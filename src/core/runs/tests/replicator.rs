//! Compares translations with a naive model of a replicator, which records where all copies are, published
//! or not.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{run, target};
use crate::runs::*;

#[derive(Clone, Copy, Debug)]
struct Copy {
    session: usize,
    source: i64,
    target: i64,
    ends_session: bool,
    /// The record never vanished from the source.
    stays: bool,
}

/// Where the replicator's sessions end.
#[derive(Clone, Copy, Debug)]
enum Ends {
    /// A session may end anywhere.
    Anywhere,
    /// Every session gets further than all earlier ones.
    Beyond,
}

/// All copies, in order. A session starts at or below the end of the previous one and leaves out no record;
/// its targets come after all earlier ones. Records may vanish from the source for good (compaction), and
/// targets may have gaps (transaction markers).
fn copied(ends: Ends) -> impl Strategy<Value = Vec<Copy>> {
    let markers = prop::collection::vec(prop::sample::select(vec![0, 0, 0, 1, 2]), 60);
    let session = (0..30_i64, 1..30_i64, markers);
    let vanishes_before =
        prop::collection::vec(prop::sample::select(vec![0, 1, 2, 9, 9, 9, 9, 9]), 200);
    (prop::collection::vec(session, 1..5), vanishes_before).prop_map(move |(sessions, vanishes)| {
        let mut all: Vec<Copy> = Vec::new();
        let count = sessions.len();
        let (mut position, mut frontier, mut target) = (0_i64, 0_i64, 0_i64);
        for (session, (back, len, markers)) in sessions.into_iter().enumerate() {
            let start = (position - back).max(0);
            position = match ends {
                Ends::Anywhere => start + len,
                Ends::Beyond => frontier + len,
            };
            frontier = frontier.max(position);
            let live = |source: &i64| vanishes[*source as usize] > session;
            for (source, markers) in (start..position).filter(live).zip(markers.iter().cycle()) {
                target += markers;
                all.push(Copy {
                    session,
                    source,
                    target,
                    ends_session: false,
                    stays: vanishes[source as usize] >= count,
                });
                target += 1;
            }
            if let Some(last) = all.last_mut().filter(|last| last.session == session) {
                last.ends_session = true;
            }
        }
        all
    })
}

/// The copies as runs, each as long as possible within its session.
fn dense(copied: &[Copy]) -> Vec<Run> {
    let mut runs: Vec<(usize, Run)> = Vec::new();
    for copy in copied {
        match runs.last_mut() {
            Some((session, last))
                if *session == copy.session
                    && last.source.get() + last.len as i64 == copy.source
                    && last.target.get() + last.len as i64 == copy.target =>
            {
                last.len += 1;
            }
            Some(_) | None => runs.push((copy.session, run(copy.source, copy.target, 1))),
        }
    }
    runs.into_iter().map(|(_, run)| run).collect()
}

fn sparse<'a>(
    copied: &'a [Copy],
    keep: u64,
    always: impl Fn(&Copy) -> bool + 'a,
) -> impl Iterator<Item = Run> + 'a {
    let kept = move |(nth, copy): &(usize, &Copy)| always(copy) || (keep >> (nth % 64)) & 1 == 1;
    copied.iter().enumerate().filter(kept).map(|(_, copy)| run(copy.source, copy.target, 1))
}

fn staircase(runs: impl IntoIterator<Item = Run>) -> Staircase {
    let mut staircase = Staircase::default();
    for (nth, run) in runs.into_iter().enumerate() {
        staircase.insert(run, MappingOffset(nth as i64 + 1));
        staircase.validate().unwrap();
    }
    staircase
}

/// Asserts that every copy of a source offset at or above a position is at or after the position's
/// translation.
fn assert_bound(staircase: &Staircase, copied: &[Copy]) -> Result<(), TestCaseError> {
    for position in 0..150 {
        let copies = copied.iter().filter(|copy| copy.source >= position);
        let found = target(staircase.translate(SourceOffset(position)));
        if let (Some(found), Some(first)) = (found, copies.map(|copy| copy.target).min()) {
            prop_assert!(found <= first, "{} -> {}, a copy is at {}", position, found, first);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn dense_mappings_never_lead_beyond_a_copy(copied in copied(Ends::Anywhere)) {
        assert_bound(&staircase(dense(&copied)), &copied)?;
    }

    #[test]
    fn sparse_mappings_with_the_end_of_each_session_never_lead_beyond_a_copy(
        copied in copied(Ends::Anywhere),
        keep in any::<u64>(),
    ) {
        let published = sparse(&copied, keep, |copy| copy.ends_session);
        assert_bound(&staircase(published), &copied)?;
    }

    #[test]
    fn sparse_mappings_of_one_session_never_lead_beyond_a_copy(
        copied in copied(Ends::Anywhere),
        keep in any::<u64>(),
    ) {
        let first: Vec<Copy> = copied.into_iter().filter(|copy| copy.session == 0).collect();
        let index = staircase(sparse(&first, keep, |_| false));
        assert_bound(&index, &first)?;
    }

    /// The records of a replay may have been copied before without a mapping, so an earlier copy may be below
    /// the translation. The record is still read, because its later copy is above the translation. If
    /// compaction removed the record from the source in between, a newer record of its key is read.
    #[test]
    fn sparse_mappings_never_skip_a_record(copied in copied(Ends::Beyond), keep in any::<u64>()) {
        let index = staircase(sparse(&copied, keep, |_| false));
        let mut last_copies = BTreeMap::new();
        for copy in copied.iter().filter(|copy| copy.stays) {
            last_copies.insert(copy.source, *copy);
        }
        for position in 0..150 {
            let Some(found) = target(index.translate(SourceOffset(position))) else {
                continue;
            };
            for copy in last_copies.range(position..).map(|(_, copy)| copy) {
                prop_assert!(copy.target >= found, "{} -> {}, {:?} is skipped", position, found, copy);
            }
        }
    }

    #[test]
    fn dense_mappings_are_exact_where_copied_once(copied in copied(Ends::Anywhere)) {
        let index = staircase(dense(&copied));
        for copy in &copied {
            if copied.iter().filter(|other| other.source == copy.source).count() == 1 {
                let exact = Translation::Exact { target: TargetOffset(copy.target) };
                prop_assert_eq!(index.translate(SourceOffset(copy.source)), exact, "{:?}", copy);
            }
        }
    }

    #[test]
    fn dense_mappings_keep_the_first_copy_of_a_replay(copied in copied(Ends::Beyond)) {
        // The records of a replay are re-read from their first copies on, and no translation fell.
        let index = staircase(dense(&copied));
        let mut first = BTreeMap::new();
        copied.iter().for_each(|copy| { first.entry(copy.source).or_insert(copy.target); });
        for (source, expected) in first {
            let position = SourceOffset(source);
            prop_assert_eq!(target(index.translate(position)), Some(expected));
            prop_assert!(!index.lowered_after(position, MappingOffset(0)));
        }
    }
}
