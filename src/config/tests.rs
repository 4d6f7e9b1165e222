#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const BASE: &str = "name: dr\nsource: { kafka: { common: { bootstrap.servers: 'a:1' } } }\n\
                    target: { kafka: { common: { bootstrap.servers: 'b:1' } } }\n";

fn variables(name: &str) -> Option<String> {
    match name {
        "PASSWORD" => Some("hunter2".to_owned()),
        _ => None,
    }
}

fn load_one(text: &str) -> Result<Loaded, ConfigErrors> {
    load_text("sprag.yaml", &format!("{BASE}{text}"), &variables)
}

fn errors(text: &str) -> String {
    load_one(text).unwrap_err().to_string()
}

#[test]
fn the_reference_file_is_the_defaults() {
    let shipped = load_text("s", include_str!("../../config/sprag.yaml"), &variables).unwrap();
    let base = "name: orders-dr\nsource.kafka.common.bootstrap.servers: '127.0.0.1:19092'\n\
                target.kafka.common.bootstrap.servers: '127.0.0.1:29092'\n";
    let defaults = load_text("d", base, &variables).unwrap();
    let values = |loaded: &Loaded| -> Vec<(String, serde_yaml::Value)> {
        loaded.effective.iter().map(|(key, leaf)| (key.clone(), leaf.value.clone())).collect()
    };
    assert_eq!(values(&shipped), values(&defaults));
    assert_eq!(shipped.config.policy, Policy::for_pipeline("orders-dr"));
    assert_eq!(shipped.notices, Vec::<String>::new());
}

#[test]
fn the_mirrormaker_file_loads() {
    let text = include_str!("../../config/mirrormaker2.yaml");
    let config = load_text("m", text, &variables).unwrap().config;
    assert_eq!(config.mapping.topic, "mm2-offset-syncs.dr.internal");
    assert!(config.mapping.on_source);
}

#[test]
fn a_k2k_file_loads_with_one_notice_per_ignored_section() {
    // The variable for the licence is not set, and does not have to be.
    let text = include_str!("../../config/k2k.yaml");
    let loaded = load_text("k", text, &variables).unwrap();
    insta::assert_snapshot!(loaded.notices.join("\n"), @r"
    coordination.kafka.commit.topic is ignored: it belongs to the replicator
    features.offsetMapping is ignored: it belongs to the replicator
    license is ignored: Sprag needs no licence
    metrics is ignored: Sprag does not use K2K's metrics
    offsetMapping.retention is ignored: Sprag keeps all mappings
    replication is ignored: it belongs to the replicator
    source.kafka.consumer.group.id is ignored: Sprag chooses its own group ids
    target.kafka.producer.transactional.id is ignored: it consists of the pipeline's id and the shard
    ");
    assert!(loaded.config.policy.apply_mappings_guard);
}

#[test]
fn all_errors_are_reported_at_once_with_file_line_and_key() {
    insta::assert_snapshot!(errors(
        "groups:\n  pollIntervall: 5s\n  confirmAfter: 5\n  commitMode: fast\n  exclude: x\n  \
         consumerGroups: '('\ncoordination: { shards: 0 }\nfeatures:\n  applyMappingsGuard: yes\n\
         zzz: 1\n"
    ), @r#"
    sprag.yaml:5: groups.pollIntervall: unknown key; did you mean groups.pollInterval?
    sprag.yaml:13: zzz: unknown key; config/sprag.yaml lists all keys
    sprag.yaml:9: groups.consumerGroups: is not a valid regular expression: regex parse error:
        (
        ^
    error: unclosed group
    sprag.yaml:8: groups.exclude: expected a list of strings, found a string
    sprag.yaml:12: features.applyMappingsGuard: expected enabled or disabled, found "yes"
    sprag.yaml:6: groups.confirmAfter: expected a duration such as `5 seconds`, `200ms` or `24 hours`, found "5" (a bare number has no unit)
    sprag.yaml:7: groups.commitMode: expected fenced or guarded, found "fast"
    sprag.yaml:10: coordination.shards: expected a number from 1 to 1000, found "0"
    "#);
}

#[test]
fn a_missing_key_without_a_default_is_an_error() {
    let missing = load_text("x.yaml", "groups: {}", &variables).unwrap_err().to_string();
    for key in ["name", "source.kafka.common.bootstrap.servers", "target.kafka.common"] {
        assert!(missing.contains(key), "{missing}");
    }
    let aliases = errors("offsetMapping: { format: mirrorMaker2 }\n");
    assert!(aliases.contains("sourceAlias: is missing"), "{aliases}");
    assert!(aliases.contains("targetAlias: is missing"), "{aliases}");
}

#[test]
fn both_spellings_of_the_guard_are_accepted_unless_they_differ() {
    let disabled = load_one("features: { applyMappingsGuards: disabled }\n").unwrap();
    assert!(!disabled.config.policy.apply_mappings_guard);
    let both = "features: { applyMappingsGuards: disabled, applyMappingsGuard: enabled }\n";
    assert!(errors(both).contains("both set, to different values"));
}

#[test]
fn later_files_win_key_by_key_and_null_restores_the_default() {
    let mut errors = Vec::new();
    let mut tree = tree::Tree::default();
    tree.overlay(
        "a",
        &format!("{BASE}groups: {{ pollInterval: 1s, confirmAfter: 2s }}"),
        &mut errors,
    );
    tree.overlay("b", "groups: { pollInterval: 3s, confirmAfter: ~ }", &mut errors);
    let loaded = finish(tree, &variables, errors).unwrap();
    assert_eq!(loaded.config.policy.poll_interval, Duration::from_secs(3));
    assert_eq!(loaded.config.policy.confirm_after, Duration::from_secs(10));
    assert_eq!(loaded.effective["groups.pollInterval"].origin.to_string(), "b:1");
}

#[test]
fn variables_are_substituted_in_values_and_secrets_are_never_shown() {
    let loaded = load_one(
        "target.kafka.common.sasl.password: '${PASSWORD}'\n\
         target.kafka.common.sasl.username: 'a$${b}'\n",
    )
    .unwrap();
    assert_eq!(loaded.config.target.admin["sasl.password"].0, "hunter2");
    assert_eq!(loaded.config.target.admin["sasl.username"].0, "a${b}");
    for shown in [show_yaml(&loaded), show_json(&loaded), format!("{:?}", loaded.config)] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let unset = errors("http.listen: '${NOBODY}'\n");
    assert!(unset.contains("the environment variable NOBODY is not set"), "{unset}");
}

#[test]
fn java_properties_become_librdkafkas() {
    let config = load_one(
        "target.kafka.common:\n  sasl.mechanism: SCRAM-SHA-512\n  \
         sasl.jaas.config: 'org.apache.kafka.common.security.scram.ScramLoginModule required \
         username=\"al\" password=\"p\\\"w;=x\";'\n  ssl.truststore.location: /x/ca.pem\n  \
         ssl.endpoint.identification.algorithm: ''\n  request.timeout.ms: 30000\n",
    )
    .unwrap()
    .config;
    let get = |name: &str| config.target.producer[name].0.as_str();
    assert_eq!(get("sasl.mechanisms"), "SCRAM-SHA-512");
    assert_eq!(get("sasl.username"), "al");
    assert_eq!(get("sasl.password"), "p\"w;=x");
    assert_eq!(get("ssl.ca.location"), "/x/ca.pem");
    assert_eq!(get("ssl.endpoint.identification.algorithm"), "none");
    assert_eq!(get("socket.timeout.ms"), "30000");
    let kerberos = errors(
        "source.kafka.common.sasl.jaas.config: 'com.sun.security.auth.module.Krb5LoginModule \
         required secretKey=\"hush\";'\n",
    );
    assert!(kerberos.contains("Krb5LoginModule") && !kerberos.contains("hush"), "{kerberos}");
    let jks = errors("source.kafka.common.ssl.truststore.location: /x/trust.jks\n");
    assert!(jks.contains("keytool"), "{jks}");
}

#[test]
fn invalid_yaml_is_reported_with_its_location() {
    let broken = load_text("x.yaml", "name: [", &variables).unwrap_err().to_string();
    assert!(broken.starts_with("x.yaml:") && broken.contains("not valid YAML"), "{broken}");
    let list = load_text("x.yaml", "- a", &variables).unwrap_err().to_string();
    assert!(list.contains("expected a mapping") && list.contains("found a list"), "{list}");
    let twice = load_text("x.yaml", "name: a\nname: b", &variables).unwrap_err().to_string();
    assert!(twice.contains("duplicate"), "{twice}");
    let gone = load(&[PathBuf::from("/nowhere/x.yaml")], &variables).unwrap_err().to_string();
    assert!(gone.contains("cannot be read") && gone.lines().count() == 1, "{gone}");
}

#[test]
fn yaml_merge_keys_work_and_a_key_set_twice_is_an_error() {
    let merged = load_one(
        "source.kafka.common: &tls { security.protocol: SSL }\n\
         target.kafka.common: { <<: *tls, client.id: x }\n",
    )
    .unwrap();
    assert_eq!(merged.config.target.admin["security.protocol"].0, "SSL");
    let twice = errors("groups.pollInterval: 5s\ngroups: { pollInterval: 6s }\n");
    assert!(twice.contains("groups.pollInterval: is set twice"), "{twice}");
    let marked = load_text("x", &format!("\u{feff}{BASE}"), &variables).unwrap();
    assert_eq!(marked.effective["name"].origin.to_string(), "x:1");
}

#[test]
fn an_unknown_key_is_reported_with_a_suggestion() {
    insta::assert_snapshot!(errors(
        "groups: { poll: 1s, consumergroups: a, pollInterval: { x: 1 } }\npollInterval: 5s\n\
         http: 9\nsource.kafka.ssl.key.password: x\ntarget.security.protocol: SSL\n"
    ), @r"
    sprag.yaml:4: groups.consumergroups: unknown key; did you mean groups.consumerGroups?
    sprag.yaml:4: groups.poll: unknown key; config/sprag.yaml lists all keys
    sprag.yaml:4: groups.pollInterval.x: unknown key; groups.pollInterval is a single value and has no keys below it
    sprag.yaml:6: http: expected a mapping, found a number
    sprag.yaml:5: pollInterval: unknown key; did you mean groups.pollInterval?
    sprag.yaml:7: source.kafka.ssl.key.password: unknown key; write this client property as source.kafka.common.ssl.key.password
    sprag.yaml:8: target.security.protocol: unknown key; write this client property as target.kafka.common.security.protocol
    ");
}

#[test]
fn a_value_that_would_have_no_effect_is_an_error() {
    insta::assert_snapshot!([
        "groups.consumerGroups: []\n",
        "groups.consumerGroups: ''\n",
        "groups.consumerGroups: 'a)|(?:b'\n",
        "groups.exclude: [7]\n",
        "groups.acceptedGuardPrefixes: ['']\n",
        "groups.pollInterval: [1]\n",
        "features.applyMappingsGuard: true\n",
        "offsetMapping.topic: 'a b'\n",
        "offsetMapping: { format: mirrorMaker2, mirrorMaker2: { sourceAlias: a, targetAlias: b, \
         replicationPolicy: { orders: [x] } } }\n",
        "offsetMapping: { format: mirrorMaker2, mirrorMaker2: { sourceAlias: 'm/n', targetAlias: é, \
         separator: ':' } }\n",
        "coordination.fenceTopic: ''\n",
        "http.listen: nonsense\n",
        "name: ''\n",
        "source.kafka.common.bootstrap.servers: ''\n",
        "source.kafka.common.bootstrap.servers: 'h:1,localhost'\n",
        "source.kafka.common.bootstrap.servers: 'u:hunter2@h:1'\n",
        "target.kafka.common.sasl.mechanism: OAUTHBEARER\n",
        "target.kafka.common.buffer.memory: much\n",
    ].map(overlaid).join("\n"), @r#"
    over:1: groups.consumerGroups: is empty, so no group would be synced; remove the key to sync all groups, or name some
    over:1: groups.consumerGroups: is empty, so no group would be synced; remove the key to sync all groups, or name some
    over:1: groups.consumerGroups: is not a valid regular expression: regex parse error:
        a)|(?:b
         ^
    error: unopened group
    over:1: groups.exclude: expected a list of strings; one of the items is a number
    over:1: groups.acceptedGuardPrefixes: expected one or more characters but no `:` or `|`, found ""
    over:1: groups.pollInterval: expected a duration such as `5 seconds`, found a list
    over:1: features.applyMappingsGuard: expected enabled or disabled, found true
    over:1: offsetMapping.topic: expected a topic name (up to 249 letters, digits, `.`, `_` or `-`), found "a b"
    over:1: offsetMapping.mirrorMaker2.replicationPolicy.orders: expected a topic name, found a list
    over:1: offsetMapping.mirrorMaker2.separator: expected up to 32 letters, digits, `.`, `_` or `-` (it becomes part of a topic name), found ":"
    over:1: offsetMapping.mirrorMaker2.sourceAlias: expected up to 150 letters, digits, `.`, `_` or `-` (it becomes part of a topic name), found "m/n"
    over:1: offsetMapping.mirrorMaker2.targetAlias: expected up to 150 letters, digits, `.`, `_` or `-` (it becomes part of a topic name), found "é"
    over:1: coordination.fenceTopic: expected a topic name (up to 249 letters, digits, `.`, `_` or `-`), found ""
    over:1: http.listen: expected host:port, found "nonsense"
    over:1: name: is empty; set it to the pipeline's name, a part of every stamp
    over:1: source.kafka.common.bootstrap.servers: expected host:port,host:port,…, found ""
    over:1: source.kafka.common.bootstrap.servers: expected host:port,host:port,…, found "localhost"
    over:1: source.kafka.common.bootstrap.servers: expected host:port,host:port,…, found "u:********@h:1"
    over:1: target.kafka.common.sasl.mechanism: expected PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, found "OAUTHBEARER"; other mechanisms are not supported
    over:1: target.kafka.common.buffer.memory: expected a number of bytes, found "much"
    "#);
}

/// Durations just below and above each range.
#[test]
fn a_duration_outside_its_range_is_an_error_that_names_the_range() {
    insta::assert_snapshot!([
        "groups.pollInterval: 9ms\n",
        "groups.pollInterval: 61 minutes\n",
        "groups.confirmAfter: 99ms\n",
        "groups.confirmAfter: 2 hours\n",
        "groups.refreshInterval: 999ms\n",
        "groups.refreshInterval: 31 days\n",
        "coordination.sessionTimeout: 0s\n",
        "coordination.sessionTimeout: 1s\n",
        "coordination.sessionTimeout: 2 hours\n",
        "coordination.sessionTimeout: 30 days\n",
    ].map(overlaid).join("\n"), @r#"
    over:1: groups.pollInterval: expected a duration from 10ms to 1 hour, found "9ms"; recreated topics are detected at this interval, too
    over:1: groups.pollInterval: expected a duration from 10ms to 1 hour, found "61 minutes"; recreated topics are detected at this interval, too
    over:1: groups.confirmAfter: expected a duration from 100ms to 1 hour, found "99ms"; it must be longer than a coordinator election takes, and a group waits this long
    over:1: groups.confirmAfter: expected a duration from 100ms to 1 hour, found "2 hours"; it must be longer than a coordinator election takes, and a group waits this long
    over:1: groups.refreshInterval: expected a duration from 1 second to 30 days, found "999ms"; brokers expire offsets that are not refreshed within offsets.retention.minutes (7 days by default)
    over:1: groups.refreshInterval: expected a duration from 1 second to 30 days, found "31 days"; brokers expire offsets that are not refreshed within offsets.retention.minutes (7 days by default)
    over:1: coordination.sessionTimeout: expected a duration from 2 seconds to 30 minutes, found "0s"; it must also be between group.min.session.timeout.ms and group.max.session.timeout.ms of the target's brokers (6 seconds and 30 minutes by default)
    over:1: coordination.sessionTimeout: expected a duration from 2 seconds to 30 minutes, found "1s"; it must also be between group.min.session.timeout.ms and group.max.session.timeout.ms of the target's brokers (6 seconds and 30 minutes by default)
    over:1: coordination.sessionTimeout: expected a duration from 2 seconds to 30 minutes, found "2 hours"; it must also be between group.min.session.timeout.ms and group.max.session.timeout.ms of the target's brokers (6 seconds and 30 minutes by default)
    over:1: coordination.sessionTimeout: expected a duration from 2 seconds to 30 minutes, found "30 days"; it must also be between group.min.session.timeout.ms and group.max.session.timeout.ms of the target's brokers (6 seconds and 30 minutes by default)
    "#);
}

#[test]
fn the_fence_topic_has_as_many_replicas_as_are_asked_for() {
    let replicas = |text: &str| load_one(text).unwrap().config.coordination.fence_topic_replicas;
    assert_eq!(replicas(""), None);
    for (written, expected) in [("1", 1), ("'3'", 3), ("32767", 32767)] {
        let text = format!("coordination.fenceTopicReplicationFactor: {written}\n");
        assert_eq!(replicas(&text), Some(expected));
    }
    for wrong in ["0", "-1", "32768", "1.5", "three", "''"] {
        let message = overlaid(&format!("coordination.fenceTopicReplicationFactor: {wrong}\n"));
        let expected = "over:1: coordination.fenceTopicReplicationFactor: expected a number from 1 to \
                        32767, found ";
        assert!(message.starts_with(expected), "{message}");
    }
    let list = overlaid("coordination.fenceTopicReplicationFactor: [3]\n");
    assert!(list.contains("found a list"), "{list}");
}

#[test]
fn both_ends_of_a_range_are_accepted() {
    for (key, least, most) in [
        ("groups.pollInterval", "10ms", "1 hour"),
        ("groups.confirmAfter", "100ms", "1 hour"),
        ("groups.refreshInterval", "1 second", "30 days"),
        ("coordination.sessionTimeout", "2 seconds", "30 minutes"),
    ] {
        for value in [least, most] {
            assert_eq!(overlaid(&format!("{key}: {value}\n")), "accepted", "{key}: {value}");
        }
    }
}

/// A duration key without a range would accept values that cannot work.
#[test]
fn every_duration_has_a_range_that_its_default_lies_in() {
    for (key, default) in keys::KEYS {
        let Ok(default) = duration::parse(default) else { continue };
        let range = keys::range(key).unwrap_or_else(|| panic!("{key} has no range"));
        let [least, most] = [range.least, range.most].map(|text| duration::parse(text).unwrap());
        assert!(least <= default && default <= most && least < most, "{key}");
    }
}

/// The errors when the text is in a second file, or `accepted`.
fn overlaid(text: &str) -> String {
    let (mut tree, mut errors) = (tree::Tree::default(), Vec::new());
    tree.overlay("base", BASE, &mut errors);
    tree.overlay("over", text, &mut errors);
    finish(tree, &variables, errors).map_or_else(|wrong| wrong.to_string(), |_| "accepted".into())
}

#[test]
fn valid_values_that_may_surprise_give_notices() {
    let notices = load_one(
        "groups.consumerGroups: [orders, 'a.*']\nhttp.listen: '0.0.0.0:9464'\n\
         source.kafka.common: { sasl.username: u, sasl.password: p, max.block.ms: 1 }\n",
    )
    .unwrap()
    .notices;
    insta::assert_snapshot!(notices.join("\n"), @r#"
    groups.consumerGroups is a list, so "a.*" is the exact name of a group; write a regular expression as a single string
    source.kafka.common.max.block.ms is ignored: only the Java client has it
    source.kafka.common: the sasl properties are not used, because security.protocol is neither SASL_SSL nor SASL_PLAINTEXT
    http.listen is not used yet: there is no status page
    "#);
}

#[test]
fn a_variable_reference_is_only_a_name() {
    for odd in ["${}", "${ PASSWORD }", "${PASSWORD:-x}", "${${PASSWORD}}"] {
        let message = errors(&format!("groups.offsetGuardPrefix: '{odd}'\n"));
        assert!(message.contains("expected `${NAME}`"), "{message}");
    }
    let open = errors("groups.offsetGuardPrefix: '${PASSWORD'\n");
    assert!(open.contains("has no closing `}`"), "{open}");
}

#[test]
fn secrets_are_redacted_wherever_they_are() {
    let jaas = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                username=\\\"u\\\" password=\\\"hunter2\\\";";
    for secret in [
        &format!("sasl.jaas.config: \"{jaas}\""),
        "ssl.keystore.password: hunter2",
        "ssl.truststore.password: hunter2",
        "ssl.key.pem: hunter2",
        "sasl.oauthbearer.config: 'principal=hunter2'",
        "basic.auth.user.info: 'u:hunter2'",
        "sasl.pasword: hunter2",
        "SASL.PASSWORD: hunter2",
        "some.url: 'https://u:hunter2@h/'",
        "some.urls: ['https://u:hunter2@h/', x]",
    ] {
        let loaded = load_one(&format!("target.kafka.common.{secret}\n")).unwrap();
        for shown in [show_yaml(&loaded), show_json(&loaded), format!("{:?}", loaded.config)] {
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
    for line in ["hunter2", "username=\"a\"password=\"hunter2\";", "hunter2LoginModule=x"] {
        let message = errors(&format!("target.kafka.common.sasl.jaas.config: '{line}'\n"));
        assert!(message.contains("no login module") && !message.contains("hunter2"), "{message}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z:\\-\\[\\]{} \n'\"$.#&*!|>0-9]{0,80}") {
        let _ = load_text("x.yaml", &text, &variables);
        let _ = load_one(&text);
    }
}
