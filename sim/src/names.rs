//! The names used in a run: hosts, topics, groups, the pipeline.

use sprag_core::ids::{ClusterId, GroupId, PipelineId, TopicName};
use sprag_mapping::Format;
use sprag_mapping::replication_policy::ReplicationPolicy;

use crate::scenario::{Publisher, Scenario};

/// The host of the source cluster.
pub const SOURCE: &str = "source";
/// The host of the target cluster.
pub const TARGET: &str = "target";
/// The host of all other clients.
pub const CLIENTS: &str = "clients";
/// The host of the replicator.
pub const REPLICATOR: &str = "replicator";

/// The pipeline's name in the configuration.
pub const PIPELINE: &str = "dr";

/// The names used in a run.
#[derive(Clone, Debug)]
pub struct Names {
    /// The replicated topics: the name on the source and the name on the target.
    pub topics: Vec<(TopicName, TopicName)>,
    /// The groups.
    pub groups: Vec<GroupId>,
    /// The mapping topic.
    pub mapping_topic: TopicName,
    /// The fence topic.
    pub fence_topic: TopicName,
    /// The pipeline's id, as it appears in stamps.
    pub pipeline: PipelineId,
}

/// The name of an instance's host.
#[must_use]
pub fn instance_host(number: usize) -> String {
    format!("sprag-{number}")
}

impl Names {
    /// The names used in this scenario.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        let shape = &scenario.shape;
        let topic = |nth: usize| {
            let name = format!("orders{nth}");
            (TopicName::from(name.as_str()), TopicName::from(format!("main.{name}").as_str()))
        };
        let group = |nth: usize| GroupId::from(format!("group-{nth}").as_str());
        let (source, target) = clusters();
        Self {
            topics: (0..shape.topics).map(topic).collect(),
            groups: (0..shape.groups).map(group).collect(),
            mapping_topic: TopicName::from(match shape.publisher {
                Publisher::Dense => "__k2k_offset_mappings",
                Publisher::Sparse { .. } => "mm2-offset-syncs.main.internal",
            }),
            fence_topic: TopicName::from("__sprag.dr.fences"),
            pipeline: PipelineId::of(PIPELINE, &source, &target),
        }
    }
}

/// The ids of the source and the target cluster.
#[must_use]
pub fn clusters() -> (ClusterId, ClusterId) {
    (ClusterId::from("simulated-source"), ClusterId::from("simulated-target"))
}

/// The format in which the sparse publisher writes mappings.
#[must_use]
pub fn syncs() -> Format {
    Format::MirrorMaker2(ReplicationPolicy::default_policy("main", PIPELINE, "."))
}
