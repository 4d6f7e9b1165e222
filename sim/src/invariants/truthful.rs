//! Truthful: an instance reports an offset as committed only if it committed that offset, and it reports
//! each commit at most once.

use std::collections::BTreeMap;
use std::rc::Rc;

use sprag_core::ids::GroupId;
use sprag_core::time::Instant;

use super::{Invariant, Violation};
use crate::truth::Ours;
use crate::wire::Partition;

/// A commit that an instance reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// When.
    pub at: Instant,
    /// The instance's host.
    pub from: Rc<str>,
    /// The group.
    pub group: GroupId,
    /// The target partition.
    pub place: Partition,
    /// The offset.
    pub offset: i64,
}

/// The last commit of each instance for each group and partition, until it is reported.
#[derive(Default)]
pub struct Unreported(BTreeMap<(Rc<str>, GroupId, Partition), i64>);

impl Unreported {
    /// An instance committed.
    pub fn learn(&mut self, ours: &Ours) {
        let key = (Rc::clone(&ours.from), ours.group.clone(), ours.at.clone());
        self.add(key, ours.after.offset);
    }

    /// An instance committed an offset, which need not have become visible.
    pub fn add(&mut self, key: (Rc<str>, GroupId, Partition), offset: i64) {
        self.0.insert(key, offset);
    }

    /// Checks one report. All earlier commits must have been learnt.
    pub fn check(&mut self, report: &Report) -> Option<Violation> {
        let Report { at, from, group, place, offset } = report;
        let committed = self.0.remove(&(Rc::clone(from), group.clone(), place.clone()));
        (committed != Some(*offset)).then(|| Violation {
            invariant: Invariant::Truthful,
            time: *at,
            place: Some((group.clone(), place.clone())),
            detail: format!(
                "{from} reported {offset} as committed; its last unreported commit was \
                 {committed:?}"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_is_reported_once_and_nothing_else_is() {
        let (from, group): (Rc<str>, _) = (Rc::from("sprag-0"), GroupId::from("g"));
        let place = Partition { topic: "t".into(), partition: 0 };
        let report = |offset| Report {
            at: Instant::from_millis(1),
            from: Rc::clone(&from),
            group: group.clone(),
            place: place.clone(),
            offset,
        };
        let mut unreported = Unreported::default();
        assert!(unreported.check(&report(5)).is_some());
        let key = (Rc::clone(&from), group.clone(), place.clone());
        unreported.add(key, 5);
        assert_eq!(unreported.check(&report(5)), None);
        assert!(unreported.check(&report(5)).is_some());
    }
}
