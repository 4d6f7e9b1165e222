//! Groups that `ListConsumerGroups` leaves out: librdkafka's list contains only consumer groups.

use std::collections::BTreeMap;
use std::time::Duration;

use sprag_core::ids::GroupId;
use sprag_core::time::Instant;

/// The minimum time between two lists of the groups of all protocols.
const AGAIN: Duration = Duration::from_secs(60);

/// The last two lists of the groups of all protocols: each group with its protocol type, which is empty if
/// the broker does not report it. librdkafka does not always report that a broker is missing from a list, so
/// a group counts as gone only if it is missing from two lists in a row.
#[derive(Default)]
pub(super) struct Others {
    ordered: Option<Instant>,
    latest: BTreeMap<GroupId, String>,
    before: BTreeMap<GroupId, String>,
}

impl Others {
    /// Whether to list the groups now. The next list is due a minute later, even if this one fails.
    pub(super) fn due(&mut self, now: Instant) -> bool {
        let due = self.ordered.is_none_or(|at| now.since(at) >= AGAIN);
        if due {
            self.ordered = Some(now);
        }
        due
    }

    /// Records a new list.
    pub(super) fn listed(&mut self, groups: BTreeMap<GroupId, String>) {
        self.before = std::mem::replace(&mut self.latest, groups);
    }

    /// The groups that are not known to be gone.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&GroupId, &str)> {
        let lacking = self.before.iter().filter(|(group, _)| !self.latest.contains_key(*group));
        self.latest.iter().chain(lacking).map(|(group, protocol)| (group, protocol.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> BTreeMap<GroupId, String> {
        names.iter().map(|name| (GroupId::from(*name), "streams".to_owned())).collect()
    }

    fn names(others: &Others) -> Vec<&str> {
        others.groups().map(|(group, _)| group.as_str()).collect()
    }

    #[test]
    fn a_group_is_gone_if_it_is_missing_from_two_lists_in_a_row() {
        let mut others = Others::default();
        others.listed(list(&["a", "b"]));
        others.listed(list(&["b"]));
        assert_eq!(names(&others), ["b", "a"], "a broker may be missing from one list");
        others.listed(list(&["a", "b"]));
        others.listed(list(&["b"]));
        others.listed(list(&["b"]));
        assert_eq!(names(&others), ["b"]);
    }

    #[test]
    fn groups_are_listed_once_a_minute_even_if_a_list_fails() {
        let mut others = Others::default();
        let at = |millis| Instant::from_millis(millis);
        let due: Vec<bool> =
            [0, 59_999, 60_000, 60_001].map(|millis| others.due(at(millis))).to_vec();
        assert_eq!(due, [true, false, true, false]);
    }
}
