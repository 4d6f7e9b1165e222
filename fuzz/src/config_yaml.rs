//! The configuration, from any text and from keys put together: it is read or refused, each complaint
//! says where, and a secret is never shown.

use super::Situations;
use super::choices::Choices;
use sprag::config::{
    ConfigError, ConfigErrors, Loaded, Origin, REDACTED, load_text, show_json, show_yaml,
};

pub(super) const SITUATIONS: &[&str] = &[
    "loaded",
    "loaded, with a notice",
    "shown and loaded again",
    "refused: not valid YAML",
    "refused: not a mapping",
    "refused: unknown key",
    "refused: did you mean",
    "refused: set twice",
    "refused: is missing",
    "refused: expected",
    "refused: environment variable",
    "refused: no regular expression",
    "secrets beside a mistake",
];

const FILE: &str = "sprag.yaml";
const SECRET: &str = "hunter2-hunter2";

const KEYS: &[&str] = &[
    "name",
    "features.applyMappingsGuard",
    "features.applyMappingsGuards",
    "features.autoCreateControlTopics",
    "groups.consumerGroups",
    "groups.exclude",
    "groups.pollInterval",
    "groups.offsetGuardPrefix",
    "groups.acceptedGuardPrefixes",
    "groups.commitMode",
    "groups.onForeignCommit",
    "groups.onSourceRewind",
    "groups.onCorrection",
    "groups.onBelowFirstMapping",
    "groups.confirmAfter",
    "groups.refreshInterval",
    "offsetMapping.format",
    "offsetMapping.topic",
    "offsetMapping.mirrorMaker2.sourceAlias",
    "offsetMapping.mirrorMaker2.targetAlias",
    "offsetMapping.mirrorMaker2.offsetSyncsLocation",
    "offsetMapping.mirrorMaker2.replicationPolicy",
    "offsetMapping.mirrorMaker2.replicationPolicy.orders",
    "offsetMapping.mirrorMaker2.separator",
    "errorHandling.onMultipleTargetCommittedOffsets",
    "errorHandling.onActiveConsumerGroupCommit",
    "coordination.fenceTopic",
    "coordination.fenceTopicReplicationFactor",
    "coordination.shards",
    "coordination.sessionTimeout",
    "http.listen",
    "license.path",
    "source.kafka.common.security.protocol",
    "target.kafka.common.ssl.truststore.location",
    "target.kafka.common.ssl.keystore.location",
    "target.kafka.common.buffer.memory",
    "target.kafka.common.sasl.mechanism",
    "source.kafka.consumer.group.id",
    "groups",
    "source.kafka",
    "groups.pollIntervall",
];

const VALUES: &[&str] = &[
    "5 seconds",
    "200ms",
    "24 hours",
    "0s",
    "enabled",
    "disabled",
    "fenced",
    "guarded",
    "hold",
    "follow",
    "overwrite",
    "forwardOnly",
    "logStart",
    "native",
    "mirrorMaker2",
    "source",
    "target",
    "fail",
    "ignore",
    "identity",
    "default",
    "dr",
    "main",
    "orders-.*",
    "'('",
    "[a, b]",
    "[]",
    "[1, [2]]",
    "{ a: b }",
    "8",
    "0",
    "-1",
    "1.5",
    "true",
    "~",
    "''",
    "127.0.0.1:9464",
    "SASL_SSL",
    "PLAIN",
    "ca.pem",
    "store.p12",
    "x.jks",
    "'${NAME}'",
    "'${NOBODY}'",
    "'$${x}'",
    "'${'",
    "!tag x",
    "&a b",
    "*a",
    "'a b'",
    "k2k_",
    "'a:b'",
    "\"\\u00e9\\n\"",
];

/// Where a secret may stand, with what is written around it.
const SECRETS: &[(&str, &str)] = &[
    ("source.kafka.common.sasl.password", "'{}'"),
    ("target.kafka.common.ssl.key.password", "{}"),
    ("target.kafka.admin.ssl.keystore.password", "['{}', x]"),
    (
        "target.kafka.common.sasl.jaas.config",
        "'a.PlainLoginModule required username=\"u\" password=\"{}\";'",
    ),
    ("target.kafka.common.sasl.jaas.config", "'a.Krb5LoginModule required secretKey=\"{}\";'"),
    ("target.kafka.common.sasl.jaas.config", "'{} a.PlainLoginModule'"),
    ("target.kafka.common.sasl.jaas.config", "'a.ScramLoginModule password={}'"),
    ("source.kafka.common.schema.registry.url", "'http://user:{}@host:1/'"),
    ("source.kafka.common.bootstrap.servers", "'user:{}@host:1'"),
    ("source.kafka.common.bootstrap.servers", "'SSL://user:{}@host'"),
    ("target.kafka.common.ssl.key.pem", "{}"),
    ("target.kafka.common.sasl.oauthbearer.client.secret", "'${SECRET}'"),
    ("target.kafka.common.sasl.password", "'${SECRET}${NOBODY}'"),
    ("target.kafka.common.sasl.password", "{ a: '{}' }"),
    ("target.kafka.common.sasl.password", "!tag '{}'"),
];

pub(super) fn run(bytes: &[u8], situations: &mut Situations) {
    let choices = &mut Choices::new(bytes);
    if choices.flag() {
        let text = String::from_utf8_lossy(choices.rest()).into_owned();
        check(&text, false, situations);
    } else {
        let (text, secret) = put_together(choices);
        check(&text, secret, situations);
    }
}

fn variable(name: &str) -> Option<String> {
    match name {
        "NAME" => Some("dr".to_owned()),
        "SECRET" => Some(SECRET.to_owned()),
        _ => None,
    }
}

/// A file that is right, and lines that may not be.
fn put_together(choices: &mut Choices<'_>) -> (String, bool) {
    let mut text = String::new();
    let whole = choices.below(8);
    if whole != 1 {
        text.push_str("name: dr\n");
    }
    if whole != 2 {
        text.push_str("source.kafka.common.client.id: s\ntarget:\n  kafka:\n    common:\n");
        text.push_str("      bootstrap.servers: b:1\n");
    }
    if whole != 3 {
        text.push_str("source.kafka.admin: { bootstrap.servers: 'a:1,c:2' }\n");
    }
    let mut secret = false;
    for _ in 0..choices.below(6) {
        let line = if choices.rarely(3) {
            secret = true;
            let (key, around) = choices.of(SECRETS);
            format!("{key}: {}", around.replace("{}", SECRET))
        } else {
            let value =
                if choices.rarely(6) { choices.text() } else { choices.of(VALUES).to_owned() };
            format!("{}: {value}", choices.of(KEYS))
        };
        text.push_str(&line);
        text.push('\n');
    }
    (text, secret)
}

fn check(text: &str, secret: bool, situations: &mut Situations) {
    match load_text(FILE, text, &variable) {
        Ok(loaded) => {
            if secret {
                keeps_secrets(&loaded, text);
            }
            situations.reach("loaded");
            if !loaded.notices.is_empty() {
                situations.reach("loaded, with a notice");
            }
            shown_and_loaded_again(&loaded, text, situations);
        }
        Err(ConfigErrors(errors)) => {
            assert!(!errors.is_empty(), "refused for nothing: {text:?}");
            for error in &errors {
                says_where(error, text);
                note(&error.to_string(), situations);
            }
            if secret {
                situations.reach("secrets beside a mistake");
                let told = ConfigErrors(errors).to_string();
                assert!(!told.contains(SECRET), "{told}\n--- of\n{text}");
            }
        }
    }
}

fn keeps_secrets(loaded: &Loaded, text: &str) {
    let (notices, config) = (loaded.notices.join("\n"), format!("{:?}", loaded.config));
    for shown in [show_yaml(loaded), show_json(loaded), notices, config] {
        assert!(!shown.contains(SECRET), "{shown}\n--- of\n{text}");
    }
}

/// The file, the line where it is known, the key where there is one, and a sentence.
fn says_where(error: &ConfigError, text: &str) {
    // To YAML these end a line too.
    let ends = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let lines = text.matches(ends).count() + 2;
    assert!(!error.message.trim().is_empty(), "{error:?}");
    match &error.origin {
        Some(Origin::File { file, line }) => {
            assert_eq!(file, FILE, "{error}");
            assert!(line.is_none_or(|line| (1..=lines).contains(&line)), "{error:?} of {text:?}");
            let stands = error.to_string();
            assert!(stands.starts_with(FILE) && stands.contains(&error.key), "{stands}");
        }
        Some(Origin::Default) => panic!("{error:?}: a default is never wrong; {text:?}"),
        None => assert!(!error.key.is_empty(), "{error:?} of {text:?}"),
    }
}

fn note(told: &str, situations: &mut Situations) {
    for (words, situation) in [
        ("not valid YAML", "refused: not valid YAML"),
        ("expected a mapping with the key", "refused: not a mapping"),
        ("unknown key", "refused: unknown key"),
        ("did you mean", "refused: did you mean"),
        ("set twice", "refused: set twice"),
        ("is missing", "refused: is missing"),
        ("expected", "refused: expected"),
        ("environment variable", "refused: environment variable"),
        ("not a valid regular expression", "refused: no regular expression"),
    ] {
        if told.contains(words) {
            situations.reach(situation);
        }
    }
}

/// What `config show` prints is a configuration file but for secrets.
fn shown_and_loaded_again(loaded: &Loaded, text: &str, situations: &mut Situations) {
    let shown = show_yaml(loaded);
    if shown.contains(REDACTED) {
        return;
    }
    let again = match load_text(FILE, &shown, &variable) {
        Ok(again) => again,
        Err(errors) => panic!("{errors}\n--- in what is shown,\n{shown}\n--- of\n{text}"),
    };
    let values = |loaded: &Loaded| -> Vec<(String, serde_yaml::Value)> {
        loaded.effective.iter().map(|(key, leaf)| (key.clone(), leaf.value.clone())).collect()
    };
    assert_eq!(values(loaded), values(&again), "{shown}\n--- of\n{text}");
    situations.reach("shown and loaded again");
}
