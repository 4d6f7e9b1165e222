//! Kafka client properties: Java's names and values become librdkafka's.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::Secret;
use super::error::ConfigError;
use super::tree::{Leaf, kind};

/// Which client the properties are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Requests about groups and topics.
    Admin,
    /// The mapping topic, the fence topic, the coordination group.
    Consumer,
    /// The shards' transactions.
    Producer,
}

impl Client {
    pub(super) fn section(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Consumer => "consumer",
            Self::Producer => "producer",
        }
    }
}

/// Properties of the Java client alone, and those that Sprag sets itself because what it promises
/// rests on them.
const IGNORED: &[(&str, &str)] = &[
    ("key.deserializer", "it is the Java client's"),
    ("value.deserializer", "it is the Java client's"),
    ("key.serializer", "it is the Java client's"),
    ("value.serializer", "it is the Java client's"),
    ("interceptor.classes", "it is the Java client's"),
    ("metric.reporters", "it is the Java client's"),
    ("partition.assignment.strategy", "Sprag assigns cooperatively"),
    ("group.id", "Sprag's groups have names of their own"),
    ("group.instance.id", "an instance must lose its shards when it goes"),
    ("session.timeout.ms", "it is coordination.sessionTimeout"),
    ("transactional.id", "it is made of the pipeline's id and the shard"),
    ("transaction.timeout.ms", "Sprag's transactions last 10 seconds at most"),
    ("enable.auto.commit", "Sprag commits by itself"),
    ("enable.idempotence", "Sprag's producers are idempotent"),
    ("acks", "Sprag's producers wait for all replicas in sync"),
    ("isolation.level", "mappings are read committed"),
    ("auto.offset.reset", "mappings are read from the start of their log, always"),
    ("max.poll.records", "it is the Java client's"),
];

/// Java's name → librdkafka's, where the value stays.
const RENAMED: &[(&str, &str)] = &[
    ("sasl.mechanism", "sasl.mechanisms"),
    ("ssl.truststore.certificates", "ssl.ca.pem"),
    ("ssl.keystore.certificate.chain", "ssl.certificate.pem"),
    ("ssl.keystore.key", "ssl.key.pem"),
    ("reconnect.backoff.max.ms", "reconnect.backoff.max.ms"),
    ("metadata.max.age.ms", "metadata.max.age.ms"),
    ("request.timeout.ms", "socket.timeout.ms"),
    ("send.buffer.bytes", "socket.send.buffer.bytes"),
    ("receive.buffer.bytes", "socket.receive.buffer.bytes"),
    ("fetch.max.wait.ms", "fetch.wait.max.ms"),
    ("ssl.cipher.suites", "ssl.cipher.suites"),
    ("buffer.memory", "queue.buffering.max.kbytes"),
];

/// Whether a property's value must never be shown.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "secret", "jaas", "token", "ssl.key.pem", "keystore.key"]
        .iter()
        .any(|part| name.contains(part))
}

type Merged = BTreeMap<String, (String, Leaf)>;

/// librdkafka's properties for these; complaints and notices name the key as it was written.
pub(super) fn to_librdkafka(
    properties: &Merged,
    notices: &mut Vec<String>,
    errors: &mut Vec<ConfigError>,
) -> BTreeMap<String, Secret> {
    let mut translation = Translation { out: BTreeMap::new(), notices, errors };
    for (name, (path, leaf)) in properties {
        match scalar(&leaf.value) {
            Some(value) => translation.add(name, &value, path, leaf, properties),
            None => translation.fail(
                path,
                leaf,
                format!("expected a text, number, true or false, found {}", kind(&leaf.value)),
            ),
        }
    }
    translation.out
}

struct Translation<'a> {
    out: BTreeMap<String, Secret>,
    notices: &'a mut Vec<String>,
    errors: &'a mut Vec<ConfigError>,
}

impl Translation<'_> {
    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.out.insert(name.to_owned(), Secret(value.into()));
    }

    fn fail(&mut self, path: &str, leaf: &Leaf, message: impl Into<String>) {
        let error = ConfigError::at(path, Some(&leaf.origin), message);
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    fn add(&mut self, name: &str, value: &str, path: &str, leaf: &Leaf, all: &Merged) {
        if let Some((_, reason)) = IGNORED.iter().find(|(ignored, _)| *ignored == name) {
            let notice = format!("{path} is ignored: {reason}");
            if !self.notices.contains(&notice) {
                self.notices.push(notice);
            }
            return;
        }
        match name {
            "sasl.jaas.config" => self.jaas(value, path, leaf),
            "ssl.truststore.location" => match store_type(all, "ssl.truststore.type", value) {
                Store::Pem => self.set("ssl.ca.location", value),
                Store::Pkcs12 | Store::Jks => self.fail(path, leaf, CONVERT),
            },
            "ssl.keystore.location" => match store_type(all, "ssl.keystore.type", value) {
                Store::Pkcs12 => self.set("ssl.keystore.location", value),
                Store::Pem => {
                    self.set("ssl.certificate.location", value);
                    self.set("ssl.key.location", value);
                }
                Store::Jks => self.fail(path, leaf, CONVERT),
            },
            "ssl.truststore.type" | "ssl.keystore.type" | "ssl.truststore.password" => {}
            "ssl.endpoint.identification.algorithm" if value.is_empty() => self.set(name, "none"),
            "sasl.kerberos.service.name" => self.fail(path, leaf, "this build has no Kerberos"),
            _ => {
                let renamed = RENAMED.iter().find(|(java, _)| *java == name);
                self.set(renamed.map_or(name, |(_, ours)| ours), value);
            }
        }
    }

    /// A JAAS line: `<module class> required key="value" …;`.
    fn jaas(&mut self, line: &str, path: &str, leaf: &Leaf) {
        let module = line.split_whitespace().next().unwrap_or_default();
        let known = module.ends_with("PlainLoginModule") || module.ends_with("ScramLoginModule");
        if !known {
            let found = module.rsplit('.').next().unwrap_or_default();
            let message = format!(
                "expected PlainLoginModule or ScramLoginModule, found {found:?}; other mechanisms \
                 are not built in"
            );
            return self.fail(path, leaf, message);
        }
        for (option, property) in [("username", "sasl.username"), ("password", "sasl.password")] {
            match jaas_option(line, option) {
                Some(value) => self.set(property, value),
                None => self.fail(path, leaf, format!("the JAAS line has no {option}=\"…\"")),
            }
        }
    }
}

const CONVERT: &str = "a Java key store cannot be read; convert it with `keytool -importkeystore \
     -deststoretype PKCS12` and `openssl pkcs12 -nokeys`, and set the type to PEM";

enum Store {
    Pem,
    Pkcs12,
    Jks,
}

fn store_type(all: &Merged, key: &str, location: &str) -> Store {
    let named = all.get(key).and_then(|(_, leaf)| scalar(&leaf.value));
    let lower = location.to_ascii_lowercase();
    match named.as_deref().map(str::to_ascii_uppercase).as_deref() {
        Some("PEM") => Store::Pem,
        Some("PKCS12") => Store::Pkcs12,
        Some(_) => Store::Jks,
        None if lower.ends_with(".pem") || lower.ends_with(".crt") => Store::Pem,
        None if lower.ends_with(".p12") || lower.ends_with(".pfx") => Store::Pkcs12,
        None => Store::Jks,
    }
}

fn jaas_option(line: &str, option: &str) -> Option<String> {
    let mut rest = line;
    loop {
        let at = rest.find(option)?;
        let before = rest[..at].chars().next_back();
        let behind = rest[at + option.len()..].trim_start();
        if before.is_none_or(char::is_whitespace)
            && let Some(value) = behind.strip_prefix('=')
        {
            let value = value.trim_start();
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            return Some(match quote {
                Some(quote) => unquoted(&value[1..], quote),
                None => value
                    .split(|c: char| c.is_whitespace() || c == ';')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            });
        }
        rest = &rest[at + option.len()..];
    }
}

fn unquoted(text: &str, quote: char) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c if c == quote => break,
            c => out.push(c),
        }
    }
    out
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Sequence(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            items.map(|items| items.join(","))
        }
        Value::Null | Value::Mapping(_) | Value::Tagged(_) => None,
    }
}
