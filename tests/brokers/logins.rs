//! Logins and rights. Refused credentials end the start-up. A login or right that is lost later,
//! for a while, is reported and never ends a running daemon.

use crate::scenario::{Mapped, PATIENCE, committed, event, pipeline};
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::groups::Group;
use crate::support::logged::LogLine;
use crate::support::rounds;
use crate::support::sprag::Sprag;
use crate::support::wait::pass;
use crate::support::watcher::OffsetsWatcher;
use std::time::Duration;

const GROUP: &str = "billing";
/// The interval after which each connection must log in again.
const LOGIN_AGAIN: Duration = Duration::from_secs(2);

/// A listener without logins for the tests, whose user may do everything, and a listener with
/// logins. A resource without an ACL is open to everybody.
const PROPERTIES: &[(&str, &str)] = &[
    ("listeners", "PLAINTEXT://$CLIENT,SASL_PLAINTEXT://$SECOND,CONTROLLER://$CONTROLLER"),
    ("advertised.listeners", "PLAINTEXT://$CLIENT,SASL_PLAINTEXT://$SECOND"),
    (
        "listener.security.protocol.map",
        "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
    ),
    ("inter.broker.listener.name", "PLAINTEXT"),
    ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256"),
    (
        "listener.name.sasl_plaintext.plain.sasl.jaas.config",
        "org.apache.kafka.common.security.plain.PlainLoginModule required user_sprag=\"right\";",
    ),
    (
        "listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config",
        "org.apache.kafka.common.security.scram.ScramLoginModule required;",
    ),
    ("connections.max.reauth.ms", "2000"),
    ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
    ("allow.everyone.if.no.acl.found", "true"),
    ("super.users", "User:ANONYMOUS"),
];

struct Scene {
    broker: Broker,
    mapped: Mapped,
    watcher: OffsetsWatcher,
    position: i64,
}

impl Scene {
    fn set() -> Self {
        let broker = Broker::start_with(Version::V4_3, PROPERTIES);
        let mapped = Mapped::make(&broker, &broker, "orders", 1000, 7);
        let watcher = OffsetsWatcher::start(&broker);
        let mut scene = Self { broker, mapped, watcher, position: 0 };
        scene.advance();
        scene
    }

    fn sprag(&self, mechanism: &str, password: &str) -> Sprag {
        let servers = format!("\"{}\"", self.broker.second());
        let common = [
            ("bootstrap.servers", servers.as_str()),
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", mechanism),
            ("sasl.username", "sprag"),
            ("sasl.password", password),
        ];
        let mut keys = vec![("groups.consumerGroups".to_owned(), GROUP)];
        for side in ["source", "target"] {
            let named = common.map(|(key, value)| (format!("{side}.kafka.common.{key}"), value));
            keys.extend(named);
        }
        let keys: Vec<_> = keys.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        Sprag::start(&pipeline(&self.broker, &self.broker, &keys))
    }

    fn advance(&mut self) {
        self.position += 10;
        Group::of(&self.broker, GROUP).commit(&self.mapped.source, 0, self.position, "");
    }

    #[track_caller]
    fn committed(&self) {
        committed(&self.watcher, GROUP, &self.mapped.target, self.mapped.at(self.position));
    }

    /// Runs one of Kafka's tools.
    #[track_caller]
    fn tool(&self, class: &str, arguments: &[&str]) {
        let mut command = self.broker.version().java("128m", class);
        command.args(["--bootstrap-server", &self.broker.bootstrap()]).args(arguments);
        let output = command.output().expect("java, which runs the broker");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !printed.contains("Error"), "{printed}");
    }

    fn deny(&self, action: &str, resource: &[&str]) {
        let denied = ["--deny-principal", "User:sprag", "--operation", "All"];
        let order = [&[action, "--force"][..], &denied, resource].concat();
        self.tool("org.apache.kafka.tools.AclCommand", &order);
    }

    fn scram(&self, arguments: &[&str]) {
        let user = ["--alter", "--entity-type", "users", "--entity-name", "sprag"];
        self.tool("kafka.admin.ConfigCommand", &[&user[..], arguments].concat());
    }
}

fn warned(line: &LogLine) -> bool {
    line.field("level").and_then(serde_json::Value::as_str) == Some("WARN")
}

#[test]
fn refused_credentials_end_the_start_and_a_lost_right_does_not_end_a_running_daemon() {
    let _turn = turn();
    let mut scene = Scene::set();
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let mut refused = scene.sprag(mechanism, "wrong");
        assert_eq!(refused.wait_for_exit(PATIENCE).code(), Some(1), "{mechanism}");
        let log: Vec<String> = refused.log().into_iter().map(|line| line.text).collect();
        let last = log.iter().rfind(|line| line.contains("ERROR")).expect("why it ended");
        let servers = scene.broker.second();
        for part in [servers.as_str(), "source", "check the credentials", "sasl.mechanism"] {
            assert!(last.contains(part), "{mechanism}: {part:?} expected in {last}");
        }
        assert!(!last.contains("wrong"), "{last}");
    }

    let mut sprag = scene.sprag("PLAIN", "right");
    scene.committed();
    let taken: &[&[&str]] = &[
        &["--group", GROUP],
        &["--topic", "dr.orders"],
        &["--transactional-id", "sprag.", "--resource-pattern-type", "prefixed"],
        &["--topic", "orders"],
        &["--group", "sprag.dr"],
        &["--topic", crate::scenario::MAPPINGS],
        &["--cluster"],
    ];
    for resource in &taken[..rounds(4, taken.len())] {
        let mark = sprag.mark();
        scene.deny("--add", resource);
        scene.advance();
        // Without the right to list, the broker still lists what the user may describe: nothing to
        // report.
        if resource[0] != "--cluster" {
            sprag.wait_for_after(mark, PATIENCE, &format!("the loss of {resource:?}"), |line| {
                warned(line) || event(line) == "judged"
            });
        }
        scene.deny("--remove", resource);
        scene.committed();
        assert_eq!(sprag.exit_status(), None, "without {resource:?}");
    }
    sprag.term();
    assert_eq!(sprag.wait_for_exit(PATIENCE).code(), Some(0));
}

#[test]
fn a_login_that_fails_for_a_while_does_not_end_a_running_daemon() {
    let _turn = turn();
    let mut scene = Scene::set();
    let password = |password: &str| format!("SCRAM-SHA-256=[iterations=4096,password={password}]");
    let set = |scene: &Scene, to: &str| scene.scram(&["--add-config", &password(to)]);
    set(&scene, "right");
    let mut sprag = scene.sprag("SCRAM-SHA-256", "right");
    scene.committed();
    let lost: [fn(&Scene); 2] = [
        |scene| scene.scram(&["--add-config", "SCRAM-SHA-256=[iterations=4096,password=other]"]),
        |scene| scene.scram(&["--delete-config", "SCRAM-SHA-256"]),
    ];
    for (nth, lose) in lost.into_iter().enumerate() {
        let mark = sprag.mark();
        lose(&scene);
        scene.advance();
        // The log repeats an error only after minutes. Until then, it reports each request that
        // fails.
        sprag.wait_for_after(mark, PATIENCE, "the failed login", |line| {
            warned(line) && (nth > 0 || line.message().contains("Authentication failed"))
        });
        // By now, every connection has logged in again, or tried to.
        pass(LOGIN_AGAIN * 2);
        assert_eq!(sprag.exit_status(), None, "{nth}");
        set(&scene, "right");
        scene.committed();
    }
    sprag.term();
    assert_eq!(sprag.wait_for_exit(PATIENCE).code(), Some(0));
}
