//! Which broker coordinates which group. The coordinator is the leader of the partition of
//! `__consumer_offsets` that the group's name hashes to (Kafka's `GroupMetadataManager.partitionFor`).

use alloc::vec::Vec;

use super::ids::{BrokerId, GroupId};

/// One of the two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The cluster that the groups commit to.
    Source,
    /// The cluster that their offsets are translated to.
    Target,
}

/// The leaders of the partitions of `__consumer_offsets`, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Coordinators {
    leaders: Vec<Option<BrokerId>>,
}

impl Coordinators {
    /// Takes the leader of each partition, in order; `None` for a partition without a leader.
    #[must_use]
    pub fn new(leaders: Vec<Option<BrokerId>>) -> Self {
        Self { leaders }
    }

    /// The coordinator of `group`; `None` if unknown.
    #[must_use]
    pub fn of(&self, group: &GroupId) -> Option<BrokerId> {
        *self.leaders.get(usize::try_from(self.partition_of(group)?).ok()?)?
    }

    /// The partition of `__consumer_offsets` that `group` belongs to; `None` if the number of
    /// partitions is unknown.
    #[must_use]
    pub fn partition_of(&self, group: &GroupId) -> Option<u32> {
        let partitions = u32::try_from(self.leaders.len()).ok().filter(|count| *count > 0)?;
        Some((java_hash(group.as_str()) & 0x7fff_ffff) % partitions)
    }
}

/// Java's `String.hashCode`, over UTF-16 code units.
fn java_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0, |hash: u32, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hash_as_in_java() {
        // Recorded from `"…".hashCode()`.
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("billing"), 0xf974_227b);
        assert_eq!(java_hash("grüße"), 0x05e3_1497);
        assert_eq!(java_hash("😀x"), 0x0346_9f75);
        assert_eq!(java_hash("polygenelubricants"), 0x8000_0000);
    }

    #[test]
    fn the_leader_of_a_groups_partition_is_its_coordinator() {
        let leaders = (0..7).map(|nth| (nth != 3).then_some(BrokerId(nth))).collect();
        let coordinators = Coordinators::new(leaders);
        for name in ["a", "orders", "grüße", "polygenelubricants"] {
            let group = GroupId::from(name);
            let partition = (java_hash(name) & 0x7fff_ffff) % 7;
            let expected = (partition != 3).then(|| BrokerId(partition.cast_signed()));
            assert_eq!(coordinators.partition_of(&group), Some(partition), "{name}");
            assert_eq!(coordinators.of(&group), expected, "{name}");
        }
        assert_eq!(Coordinators::default().of(&GroupId::from("a")), None);
    }
}
