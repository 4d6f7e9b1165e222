//! Settings of the target's brokers and of the fence topic that the daemon depends on. The daemon's start-up
//! and `sprag check` read and report them. A setting that cannot be read is unknown, never correct.

use std::collections::BTreeMap;
use std::time::Duration;

use super::client::AdminClient;
use super::ffi::admin::ConfigOf;
use sprag_core::ids::TopicName;

/// Settings by name, including defaults.
pub type Settings = BTreeMap<String, String>;

/// Why settings could not be read, for messages.
pub type Unread = String;

/// The settings of each broker in the cluster.
///
/// # Errors
///
/// If the brokers cannot be listed.
pub async fn of_brokers(
    client: &AdminClient,
    timeout: Duration,
) -> Result<BTreeMap<i32, Result<Settings, Unread>>, Unread> {
    let admin = client.present().map_err(|failure| failure.to_string())?;
    let ids = admin.brokers(timeout).await;
    let ids = ids.map_err(|error| format!("the brokers could not be listed: {error}"))?;
    let asked = ids.into_iter().map(|id| async move {
        let settings = of(client, ConfigOf::Broker(id), timeout).await;
        (
            id,
            settings.map_err(|why| format!("the settings of broker {id} could not be read: {why}")),
        )
    });
    Ok(futures::future::join_all(asked).await.into_iter().collect())
}

async fn of(client: &AdminClient, of: ConfigOf<'_>, timeout: Duration) -> Result<Settings, Unread> {
    let admin = client.present().map_err(|failure| failure.to_string())?;
    admin.describe_configs(of, timeout).await.map_err(|error| error.to_string())
}

/// How serious a [`Doubt`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Records that ownership depends on can be lost.
    Wrong,
    /// The setting works, but should be changed.
    Risky,
    /// The setting could not be checked.
    Unknown,
}

/// A problem with the fence topic, or something that could not be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// How serious it is.
    pub weight: Weight,
    /// What was found.
    pub found: String,
    /// What to do about it.
    pub remedy: String,
}

/// Checks the settings of the fence topic, which has `replicas` replicas.
pub async fn fence_topic_doubts(
    client: &AdminClient,
    topic: &TopicName,
    replicas: i32,
    timeout: Duration,
) -> Vec<Doubt> {
    let admin = match client.present() {
        Ok(admin) => admin,
        Err(failure) => return vec![not_checked("the configuration", topic, &failure.to_string())],
    };
    let (settings, brokers) = futures::join!(
        of(client, ConfigOf::Topic(topic.as_str()), timeout),
        admin.brokers(timeout)
    );
    let brokers = brokers.map(|ids| ids.len()).map_err(|error| error.to_string());
    let policy = policy_doubt(topic, &settings);
    policy.into_iter().chain(replicas_doubt(topic, replicas, &brokers)).collect()
}

fn policy_doubt(topic: &TopicName, settings: &Result<Settings, Unread>) -> Option<Doubt> {
    const POLICY: &str = "cleanup.policy";
    let settings = match settings {
        Ok(settings) => settings,
        Err(why) => return Some(not_checked(POLICY, topic, why)),
    };
    let Some(policy) = settings.get(POLICY) else {
        return Some(not_checked(POLICY, topic, "the broker does not report it"));
    };
    if policy == "compact" {
        return None;
    }
    let found = format!(
        "expected {POLICY}=compact on the fence topic {topic}, found {POLICY}={policy}: old take-over records \
         and incarnation records are deleted by age or size; without them Sprag does not notice a changed \
         shard count, or mappings from an earlier incarnation of a topic"
    );
    let remedy = format!(
        "kafka-configs --bootstrap-server … --alter --entity-type topics --entity-name {topic} \
         --add-config {POLICY}=compact"
    );
    Some(Doubt { weight: Weight::Wrong, found, remedy })
}

fn replicas_doubt(
    topic: &TopicName,
    replicas: i32,
    brokers: &Result<usize, Unread>,
) -> Option<Doubt> {
    if replicas > 1 {
        return None;
    }
    let brokers = match brokers {
        Ok(0 | 1) => return None,
        Ok(brokers) => brokers,
        Err(why) => return Some(not_checked("the replication factor", topic, why)),
    };
    let found = format!(
        "the fence topic {topic} has one replica, on a cluster of {brokers} brokers: while the broker of \
         a partition is down, no instance can take over its shard, and if the broker's disk is lost, so \
         are the shard's records"
    );
    let remedy =
        "add replicas with kafka-reassign-partitions; coordination.fenceTopicReplicationFactor \
                  is only used when the topic is created"
            .to_owned();
    Some(Doubt { weight: Weight::Risky, found, remedy })
}

fn not_checked(what: &str, topic: &TopicName, why: &str) -> Doubt {
    let found = format!("{what} of the fence topic {topic} was not checked, because {why}");
    let remedy = format!(
        "kafka-acls --bootstrap-server … --add --allow-principal User:… --operation DescribeConfigs \
         --topic {topic}"
    );
    Doubt { weight: Weight::Unknown, found, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic() -> TopicName {
        TopicName::from("fences")
    }

    fn weight(policy: Result<Option<&str>, &str>) -> Option<Weight> {
        let settings = policy.map(|policy| {
            policy.map(|it| ("cleanup.policy".to_owned(), it.to_owned())).into_iter().collect()
        });
        policy_doubt(&topic(), &settings.map_err(str::to_owned)).map(|doubt| doubt.weight)
    }

    #[test]
    fn only_a_topic_that_is_compacted_and_nothing_else_is_fine() {
        assert_eq!(weight(Ok(Some("compact"))), None);
        for policy in ["delete", "compact,delete", ""] {
            assert_eq!(weight(Ok(Some(policy))), Some(Weight::Wrong), "{policy}");
        }
    }

    #[test]
    fn a_policy_that_could_not_be_read_is_unknown() {
        assert_eq!(weight(Ok(None)), Some(Weight::Unknown));
        assert_eq!(weight(Err("not authorized")), Some(Weight::Unknown));
        let doubt = policy_doubt(&topic(), &Err("not authorized".to_owned()));
        let found = doubt.map(|doubt| doubt.found).unwrap_or_default();
        assert!(found.contains("not checked, because not authorized"), "{found}");
    }

    #[test]
    fn one_replica_is_too_few_where_there_could_be_more() {
        let weight = |replicas, brokers: Result<usize, &str>| {
            let brokers = brokers.map_err(str::to_owned);
            replicas_doubt(&topic(), replicas, &brokers).map(|doubt| doubt.weight)
        };
        assert_eq!(weight(1, Ok(1)), None);
        assert_eq!(weight(1, Ok(3)), Some(Weight::Risky));
        assert_eq!(weight(2, Ok(3)), None);
        assert_eq!(weight(1, Err("no answer")), Some(Weight::Unknown));
        assert_eq!(weight(3, Err("no answer")), None);
    }
}
