//! Settings of the target's brokers and of the fence topic that the daemon depends on. They are
//! read to be reported, at start-up and by `sprag check`; what cannot be read is unknown, never fine.

use std::collections::BTreeMap;
use std::time::Duration;

use super::client::AdminClient;
use super::ffi::admin::ConfigOf;
use sprag_core::ids::TopicName;

/// Settings by name, defaults included.
pub type Settings = BTreeMap<String, String>;

/// Why settings are not known, for people.
pub type Unread = String;

/// The settings of each broker that the cluster knows.
///
/// # Errors
///
/// Where it is not known which brokers there are.
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

/// What is not as it should be with the fence topic, or is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Records that ownership rests on can be lost.
    Wrong,
    /// It works, and should be changed.
    Risky,
    /// It could not be checked.
    Unknown,
}

/// A doubt about the fence topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// How much it matters.
    pub weight: Weight,
    /// What was found.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

/// What speaks against the fence topic as it stands, of `replicas` replicas.
pub async fn fence_topic_doubts(
    client: &AdminClient,
    topic: &TopicName,
    replicas: i32,
    timeout: Duration,
) -> Vec<Doubt> {
    let admin = match client.present() {
        Ok(admin) => admin,
        Err(failure) => return vec![not_checked("its settings", topic, &failure.to_string())],
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
        "expected {POLICY}=compact on the fence topic {topic}, found {POLICY}={policy}: what the topic \
         deletes by age or size are the take-over record of a shard that changed hands long ago, and \
         what is kept of topics that were made again; without them another shard count or an old \
         mapping is not noticed"
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
        Err(why) => return Some(not_checked("whether one replica is enough", topic, why)),
    };
    let found = format!(
        "the fence topic {topic} has one replica, on a cluster of {brokers} brokers: while the broker of \
         a partition is down, nobody can take over its shard, and if its disk is lost, so are the \
         shard's records"
    );
    let remedy =
        "add replicas with kafka-reassign-partitions; coordination.fenceTopicReplicationFactor \
                  only counts when the topic is created"
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
