#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

const KAFKA: &str = include_str!("kafka-4.3.0.tsv");

/// One row of the results of Kafka's classes.
struct Row {
    policy: ReplicationPolicy,
    about: String,
    topic: &'static str,
    source: Option<&'static str>,
    upstream: Option<&'static str>,
    remote: &'static str,
    replicated: bool,
}

fn policy(class: &str, separator: &str) -> ReplicationPolicy {
    match class {
        "default" => ReplicationPolicy::default_policy("us-west", "us-east", separator),
        "identity" => ReplicationPolicy::identity("us-west", "us-east", separator),
        other => panic!("no such policy: {other}"),
    }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut present = None;
    for line in KAFKA.lines().filter(|line| !line.starts_with('#')) {
        if let Some(section) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            let [class, separator] = fields(section);
            present = Some((policy(class, separator), section));
            continue;
        }
        let (policy, section) = present.clone().unwrap();
        let [topic, source, upstream, remote, replicated] = fields(line);
        let nullable = |text: &'static str| (text != "<null>").then_some(text);
        rows.push(Row {
            policy,
            about: format!("{topic:?} under {section:?}"),
            topic,
            source: nullable(source),
            upstream: nullable(upstream),
            remote,
            replicated: replicated.parse().unwrap(),
        });
    }
    rows
}

fn fields<const N: usize>(line: &'static str) -> [&'static str; N] {
    let fields: Vec<&str> = line.split('\t').collect();
    fields.try_into().expect(line)
}

#[test]
fn names_are_split_as_kafka_splits_them() {
    let rows = rows();
    assert_eq!(rows.len(), 5 * 28, "the table was not read completely");
    for row in rows {
        let origin = row.source.zip(row.upstream);
        assert_eq!(row.policy.origin(row.topic), origin, "{}", row.about);
    }
}

#[test]
fn what_kafka_copies_has_the_name_that_kafka_gives_it() {
    for row in rows() {
        let found = row.policy.target_topic(row.topic);
        match (row.topic, row.replicated) {
            (HEARTBEATS, _) => assert_eq!(found, Err(NotCopied::Heartbeats)),
            (_, true) => assert_eq!(found.as_deref(), Ok(row.remote), "{}", row.about),
            (_, false) => assert!(
                matches!(found, Err(NotCopied::Internal | NotCopied::Cycle)),
                "{}: {found:?}",
                row.about
            ),
        }
    }
}

#[test]
fn the_reason_why_a_topic_is_left_out_is_returned() {
    let policy = ReplicationPolicy::default_policy("us-west", "us-east", ".");
    let cycle = Err(NotCopied::Cycle);
    assert_eq!(policy.target_topic("us-east.orders"), cycle);
    assert_eq!(policy.target_topic("apac.us-east.orders"), cycle);
    let internal = policy.target_topic("__consumer_offsets");
    assert_eq!(internal, Err(NotCopied::Internal));
    let applications = policy.target_topic("app.heartbeats");
    assert_eq!(applications.as_deref(), Ok("us-west.app.heartbeats"));
}

#[test]
fn an_explicit_map_is_the_whole_policy() {
    let pairs = [("orders", "orders-copy"), ("heartbeats", "hb"), ("__x", "x")];
    let topics = pairs.map(|(from, to)| (from.to_owned(), to.to_owned()));
    let policy = ReplicationPolicy::map(BTreeMap::from(topics));
    for (from, to) in pairs {
        assert_eq!(policy.target_topic(from).as_deref(), Ok(to));
    }
    assert_eq!(policy.target_topic("payments"), Err(NotCopied::NotInMap));
}

proptest! {
    #[test]
    fn any_name_comes_to_an_end(topic in "[ab.üe]{0,12}", separator in "[.a]{0,2}") {
        for policy in [
            ReplicationPolicy::default_policy("a", "e", &separator),
            ReplicationPolicy::identity("a", "e", &separator),
        ] {
            let hops: Vec<_> = policy.hops(&topic).collect();
            let cycle = hops.iter().any(|(source, _)| *source == "e");
            prop_assert_eq!(policy.target_topic(&topic) == Err(NotCopied::Cycle),
                cycle && !policy.internal_topics.contains(&topic));
        }
    }
}
