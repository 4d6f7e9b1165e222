//! `sprag check` on a broker with an authorizer. With every right, it finds nothing missing. It
//! names each right that is taken away, with the ACL that grants it.

use std::fs;
use std::process::Command;

use crate::scenario::{MAPPINGS, Mapped, PATIENCE, active, pipeline};
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::{Broker, new_folder};
use crate::support::groups::Group;
use crate::support::rounds;
use crate::support::sprag::{Sprag, run};
use crate::support::topics::create_topic_with;

/// A resource without an ACL is open to everybody. A resource with one is open only to those that
/// it names.
const AUTHORIZER: &[(&str, &str)] = &[
    ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
    ("allow.everyone.if.no.acl.found", "true"),
    ("super.users", "User:admin"),
];

const FENCES: &str = "__sprag.dr.fences";

/// A right: the resource as `kafka-acls` takes it, the operation that is denied, and what must be
/// named.
type Right<'a> = (&'a [&'a str], &'a str, &'a str);

const RIGHTS: &[Right<'static>] = &[
    (&["--topic", MAPPINGS], "Read", "--operation Read --topic __k2k_offset_mappings"),
    (&["--topic", MAPPINGS], "Describe", "--operation Describe --operation Read --topic __k2k"),
    (&["--topic", FENCES], "Write", "--operation Write --operation Describe --topic __sprag"),
    (&["--topic", FENCES], "Read", "--operation Read --operation Describe --topic __sprag"),
    (&["--group", "billing"], "Read", "--operation Read --group billing"),
    (&["--group", "billing"], "Describe", "--operation Describe --operation Read --group billing"),
    (&["--group", "sprag.dr"], "Describe", "--operation Describe --group sprag.dr"),
    (
        &["--transactional-id", "sprag.", "--resource-pattern-type", "prefixed"],
        "Write",
        "--operation Write --operation Describe --transactional-id sprag.",
    ),
];

#[test]
fn each_right_that_is_missing_is_named() {
    let _turn = turn();
    let broker = Broker::start_with(Version::V4_3, AUTHORIZER);
    Mapped::make(&broker, &broker, "orders", 1000, 7);
    Group::of(&broker, "billing").commit("orders", 0, 500, "");
    let folder = new_folder("check-");
    let file = folder.path().join("sprag.yaml");
    let overrides = [("groups.consumerGroups", "billing")];
    fs::write(&file, pipeline(&broker, &broker, &overrides)).expect("a configuration file");
    let file = file.display().to_string();
    let (status, lines) = run(&["check", "-f", &file], PATIENCE);
    let text = |lines: &[crate::support::logged::LogLine]| -> String {
        lines.iter().map(|line| format!("{}\n", line.text)).collect()
    };
    assert!(status.success(), "{}", text(&lines));

    for (resource, operation, named) in RIGHTS.iter().take(rounds(4, RIGHTS.len())) {
        acls(&broker, "--add", resource, operation);
        let (status, lines) = run(&["check", "-f", &file], PATIENCE);
        let printed = text(&lines);
        assert_eq!(status.code(), Some(1), "without {operation} on {resource:?}:\n{printed}");
        let remedies = printed.lines().filter(|line| line.trim_start().starts_with("->"));
        let found = remedies.filter(|line| line.contains(named)).count();
        assert!(found > 0, "without {operation} on {resource:?}, {named:?} expected:\n{printed}");
        acls(&broker, "--remove", resource, operation);
    }
    let settings = [&["--cluster"][..], &["--topic", FENCES]];
    settings.iter().for_each(|resource| acls(&broker, "--add", resource, "DescribeConfigs"));
    let (status, lines) = run(&["check", "-f", &file], PATIENCE);
    let printed = text(&lines);
    assert!(status.success(), "settings are not needed:\n{printed}");
    for (what, remedy) in [
        ("broker settings", "--operation DescribeConfigs --cluster"),
        ("fence topic settings", "--operation DescribeConfigs --topic __sprag"),
    ] {
        let line = found(&printed, &format!("target: {what}"));
        assert!(line.starts_with("warning") && line.contains("not checked, because"), "{line}");
        assert!(printed.contains(remedy), "{remedy:?} expected:\n{printed}");
    }
    settings.iter().for_each(|resource| acls(&broker, "--remove", resource, "DescribeConfigs"));
    let (status, lines) = run(&["check", "-f", &file], PATIENCE);
    assert!(status.success(), "with every right again:\n{}", text(&lines));
    let sprag = Sprag::start(&pipeline(&broker, &broker, &overrides));
    active(&sprag, 0);
}

/// The exit code of `check`, and what it printed.
fn checked(keys: &str) -> (Option<i32>, String) {
    let folder = new_folder("check-");
    let file = folder.path().join("sprag.yaml");
    fs::write(&file, keys).expect("a configuration file");
    let (status, lines) = run(&["check", "-f", &file.display().to_string()], PATIENCE);
    (status.code(), lines.iter().map(|line| format!("{}\n", line.text)).collect())
}

fn found<'a>(printed: &'a str, what: &str) -> &'a str {
    printed
        .lines()
        .find(|line| line.contains(&format!(" {what}: ")))
        .unwrap_or_else(|| panic!("nothing about {what}:\n{printed}"))
}

#[test]
fn settings_of_brokers_and_fence_topic_that_cannot_work_are_named() {
    let _turn = turn();
    let settings = [
        ("group.coordinator.rebalance.protocols", "classic,consumer"),
        ("group.min.session.timeout.ms", "6000"),
        ("offsets.retention.minutes", "1440"),
    ];
    let broker = Broker::start_with(Version::V3_9, &settings);
    Mapped::make(&broker, &broker, "orders", 100, 7);
    create_topic_with(&broker, FENCES, 4, &[("cleanup.policy", "compact,delete")]);
    let keys = [("coordination.sessionTimeout", "2s")];
    let (code, printed) = checked(&pipeline(&broker, &broker, &keys));
    assert_eq!(code, Some(1), "{printed}");
    for (what, parts) in [
        ("coordination.sessionTimeout", &["MISSING", "6000 to 1800000 ms", "found 2000 ms"][..]),
        ("groups.refreshInterval", &["warning", "86400 s", "1440 minutes"]),
        ("group coordinator", &["warning", "KAFKA-17877", "classic,consumer", "3.9"]),
        ("fence topic settings", &["MISSING", "cleanup.policy=compact", "compact,delete"]),
    ] {
        let line = found(&printed, &format!("target: {what}"));
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    let sprag = Sprag::start(&pipeline(&broker, &broker, &[]));
    sprag.wait_for(PATIENCE, "a warning about the fence topic", |line| {
        line.message().contains("cleanup.policy=compact on the fence topic")
    });
    active(&sprag, 0);
}

#[test]
fn the_fence_topic_is_created_with_the_configured_number_of_replicas() {
    let _turn = turn();
    let broker = Broker::start(Version::V4_3);
    Mapped::make(&broker, &broker, "orders", 100, 7);
    let replicas = |count| [("coordination.fenceTopicReplicationFactor", count)];
    let (code, printed) = checked(&pipeline(&broker, &broker, &replicas("3")));
    assert_eq!(code, Some(1), "{printed}");
    let refused = found(&printed, "target: fence topic");
    assert!(refused.contains("InvalidReplicationFactor"), "{refused}");
    let (code, printed) = checked(&pipeline(&broker, &broker, &replicas("1")));
    assert_eq!(code, Some(0), "{printed}");
    let created = found(&printed, "target: fence topic");
    assert!(created.contains("1 replicas each"), "{created}");
    for what in [
        "coordination.sessionTimeout",
        "groups.refreshInterval",
        "group coordinator",
        "fence topic settings",
    ] {
        let line = found(&printed, &format!("target: {what}"));
        assert!(line.starts_with("ok"), "{line}");
    }
}

/// Allows everything on the resource except one operation, or undoes that.
fn acls(broker: &Broker, action: &str, resource: &[&str], operation: &str) {
    let mut entries = [("--allow-principal", "All"), ("--deny-principal", operation)];
    if action == "--remove" {
        // A denial alone would leave nobody any right, not even the broker's own controller.
        entries.reverse();
    }
    for (principal, operation) in entries {
        let mut command: Command =
            broker.version().java("128m", "org.apache.kafka.tools.AclCommand");
        command.args(["--bootstrap-server", &broker.bootstrap(), action, "--force"]);
        command.args([principal, "User:ANONYMOUS", "--operation", operation]).args(resource);
        let output = command.output().expect("java, which runs the broker");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !printed.contains("Error"), "{printed}");
    }
}
