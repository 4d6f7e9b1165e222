//! What the helpers need from a cluster, whether it has one broker or three.

use super::artifacts::Version;

/// A running cluster.
pub(crate) trait Cluster {
    /// The bootstrap servers for the tests' own clients: `127.0.0.1:<port>` of each broker,
    /// comma-separated. They stay the same for the whole life of the cluster.
    fn bootstrap(&self) -> String;

    /// The version that its brokers run.
    fn version(&self) -> Version;

    /// The id that it was formatted with, as clients see it.
    fn cluster_id(&self) -> &str;
}
