//! `sprag check` on a broker with its authorizer on: with every right it finds nothing missing, and
//! each right that is taken away is named with the ACL that grants it.

use std::fs;
use std::process::Command;

use crate::scenario::{MAPPINGS, Mapped, PATIENCE, active, pipeline};
use crate::support::alone::alone;
use crate::support::artifacts::Version;
use crate::support::broker::{Broker, new_folder};
use crate::support::groups::Group;
use crate::support::rounds;
use crate::support::sprag::{Sprag, run};

/// Everybody may do everything to what has no ACL; what has one is open to those it names alone.
const AUTHORIZER: &[(&str, &str)] = &[
    ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
    ("allow.everyone.if.no.acl.found", "true"),
    ("super.users", "User:admin"),
];

const FENCES: &str = "__sprag.dr.fences";

/// A right: the resource as `kafka-acls` takes it, what is taken away, and what must be named.
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
    let _alone = alone();
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
    let (status, lines) = run(&["check", "-f", &file], PATIENCE);
    assert!(status.success(), "with every right again:\n{}", text(&lines));
    let sprag = Sprag::start(&pipeline(&broker, &broker, &overrides));
    active(&sprag, 0);
}

/// Allows everything on the resource but one operation, or takes that back.
fn acls(broker: &Broker, action: &str, resource: &[&str], operation: &str) {
    for (principal, operation) in [("--allow-principal", "All"), ("--deny-principal", operation)] {
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
