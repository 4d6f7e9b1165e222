//! The names of MirrorMaker 2's internal topics (`DefaultReplicationPolicy`). MirrorMaker does not
//! replicate these topics.

use alloc::borrow::ToOwned;
use alloc::string::String;

/// The cluster that holds the offset syncs (`offset-syncs.topic.location`). The name of their topic
/// contains the alias of the other cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSyncsLocation<'a> {
    /// The source cluster, which is MirrorMaker's default.
    Source {
        /// The target cluster's alias.
        target_alias: &'a str,
    },
    /// The target cluster.
    Target {
        /// The source cluster's alias.
        source_alias: &'a str,
    },
}

/// The names of the internal topics of a replication flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopics {
    separator: String,
}

impl InternalTopics {
    /// The names for this `replication.policy.separator`. Assumes that
    /// `replication.policy.internal.topic.separator.enabled` is true, which is the default.
    #[must_use]
    pub fn with_separator(separator: &str) -> Self {
        let separator = separator.to_owned();
        Self { separator }
    }

    /// The topic that holds the offset syncs.
    #[must_use]
    pub fn offset_syncs(&self, location: OffsetSyncsLocation<'_>) -> String {
        let other = match location {
            OffsetSyncsLocation::Source { target_alias } => target_alias,
            OffsetSyncsLocation::Target { source_alias } => source_alias,
        };
        let separator = &self.separator;
        format!("mm2-offset-syncs{separator}{other}{separator}internal")
    }

    /// Whether MirrorMaker considers `topic` internal, by the rule of Kafka 4. Earlier releases also
    /// exclude every topic that ends with `.internal` or `-internal`. A sync of such a topic can only come
    /// from a release that replicates it, so it must not be skipped.
    #[must_use]
    pub fn contains(&self, topic: &str) -> bool {
        let separator = self.separator.as_str();
        let before_internal =
            topic.strip_suffix("internal").and_then(|rest| rest.strip_suffix(separator));
        let own = before_internal.is_some_and(|rest| {
            topic.starts_with("mm2")
                || rest.strip_suffix("checkpoints").is_some_and(|rest| rest.ends_with(separator))
        });
        own || topic.starts_with("__") || topic.starts_with('.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_SOURCE: OffsetSyncsLocation<'_> =
        OffsetSyncsLocation::Source { target_alias: "us-east" };
    const AT_TARGET: OffsetSyncsLocation<'_> =
        OffsetSyncsLocation::Target { source_alias: "us-west" };

    /// The expected names are the results of `DefaultReplicationPolicy.offsetSyncsTopic` in Kafka 3.9.2
    /// and 4.3.0.
    #[test]
    fn the_offset_syncs_carry_the_alias_of_the_other_cluster() {
        let names = [
            (
                InternalTopics::with_separator("."),
                "mm2-offset-syncs.us-east.internal",
                "mm2-offset-syncs.us-west.internal",
            ),
            (
                InternalTopics::with_separator("_"),
                "mm2-offset-syncs_us-east_internal",
                "mm2-offset-syncs_us-west_internal",
            ),
            (
                InternalTopics::with_separator("--"),
                "mm2-offset-syncs--us-east--internal",
                "mm2-offset-syncs--us-west--internal",
            ),
        ];
        for (topics, at_source, at_target) in names {
            assert_eq!(topics.offset_syncs(AT_SOURCE), at_source);
            assert_eq!(topics.offset_syncs(AT_TARGET), at_target);
        }
    }

    /// The expected values are the results of `DefaultReplicationPolicy.isInternalTopic` in Kafka 4.3.0,
    /// for the separators `.`, `_` and empty.
    #[test]
    fn internal_is_what_kafka_4_says() {
        let policies = [
            InternalTopics::with_separator("."),
            InternalTopics::with_separator("_"),
            InternalTopics::with_separator(""),
        ];
        let rows = [
            ("mm2-foo.internal", [true, false, true]),
            ("mm2.internal", [true, false, true]),
            ("mm2-internal", [false, false, true]),
            ("mm2-foo_internal", [false, true, true]),
            ("us-west.checkpoints.internal", [true, false, false]),
            ("x_checkpoints_internal", [false, true, false]),
            ("x_checkpoints.internal", [false, false, false]),
            (".checkpoints.internal", [true, true, true]),
            ("checkpoints.internal", [false, false, false]),
            ("checkpointsinternal", [false, false, true]),
            ("__x", [true, true, true]),
            ("_x", [false, false, false]),
            (".x", [true, true, true]),
            ("orders.internal", [false, false, false]),
        ];
        for (topic, expected) in rows {
            let found = policies.each_ref().map(|topics| topics.contains(topic));
            assert_eq!(found, expected, "{topic}");
        }
    }
}
