//! Translates Kafka client properties from the Java client's names and values to librdkafka's.

mod names;

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::Secret;
use super::error::ConfigError;
use super::tree::{Leaf, kind};

pub(super) use names::is_known;
use names::{IGNORED, RENAMED};
pub use names::{is_secret, nearest};

/// The client that the properties are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Admin clients: requests about groups and topics.
    Admin,
    /// Consumers of the mapping topic and the fence topic, and members of the coordination group.
    Consumer,
    /// The shards' transactional producers.
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

type Merged = BTreeMap<String, (String, Leaf)>;

/// Translates the properties to librdkafka's. Errors and notices name each key as it was written.
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
                format!("expected a string, number, true or false, found {}", kind(&leaf.value)),
            ),
        }
    }
    translation.out
}

/// Whether SASL properties are set that have no effect under the security protocol.
pub(super) fn unused_credentials(properties: &BTreeMap<String, Secret>) -> bool {
    let protocol = properties.get("security.protocol");
    let sasl = protocol.is_some_and(|p| p.0.to_ascii_uppercase().starts_with("SASL"));
    !sasl && properties.keys().any(|name| name.starts_with("sasl."))
}

/// The names under which a librdkafka property may have been written in a file.
pub fn written_as(native: &str) -> impl Iterator<Item = &str> {
    let java = RENAMED.iter().filter(move |(_, ours)| *ours == native).map(|(java, _)| *java);
    let special: &[&str] = match native {
        "queue.buffering.max.kbytes" => &["buffer.memory"],
        "sasl.username" | "sasl.password" => &["sasl.jaas.config"],
        "ssl.ca.location" => &["ssl.truststore.location"],
        "ssl.certificate.location" | "ssl.key.location" => &["ssl.keystore.location"],
        _ => &[],
    };
    std::iter::once(native).chain(java).chain(special.iter().copied())
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
                Store::Pkcs12 | Store::Jks => self.fail(path, leaf, export(value)),
            },
            "ssl.keystore.location" => match store_type(all, "ssl.keystore.type", value) {
                Store::Pkcs12 => self.set("ssl.keystore.location", value),
                Store::Pem => {
                    self.set("ssl.certificate.location", value);
                    self.set("ssl.key.location", value);
                }
                Store::Jks => self.fail(path, leaf, convert(value)),
            },
            "ssl.truststore.type" | "ssl.keystore.type" | "ssl.truststore.password" => {}
            "ssl.endpoint.identification.algorithm" if value.is_empty() => self.set(name, "none"),
            "sasl.mechanism" | "sasl.mechanisms" => self.mechanism(value, path, leaf),
            "buffer.memory" => self.buffer_memory(value, path, leaf),
            "sasl.kerberos.service.name" => self.fail(path, leaf, "Kerberos is not supported"),
            _ => {
                let renamed = RENAMED.iter().find(|(java, _)| *java == name);
                self.set(renamed.map_or(name, |(_, ours)| ours), value);
            }
        }
    }

    fn mechanism(&mut self, value: &str, path: &str, leaf: &Leaf) {
        match value.trim() {
            known @ ("PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512") => {
                self.set("sasl.mechanisms", known);
            }
            _ => self.fail(
                path,
                leaf,
                format!(
                    "expected PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, found {value:?}; other \
                     mechanisms are not supported"
                ),
            ),
        }
    }

    /// The Java client counts in bytes, librdkafka in KiB.
    fn buffer_memory(&mut self, value: &str, path: &str, leaf: &Leaf) {
        match value.parse::<u64>() {
            Ok(bytes) => {
                self.set("queue.buffering.max.kbytes", bytes.div_ceil(1024).max(1).to_string());
            }
            Err(_) => self.fail(path, leaf, format!("expected a number of bytes, found {value:?}")),
        }
    }

    /// Reads a JAAS line: `<module class> required key="value" …;`.
    fn jaas(&mut self, line: &str, path: &str, leaf: &Leaf) {
        let module = line.split_whitespace().next().unwrap_or_default();
        let known = module.ends_with("PlainLoginModule") || module.ends_with("ScramLoginModule");
        if !known {
            // If the line does not begin with a module, its first word may be a secret.
            let class = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '$');
            let named = module.ends_with("LoginModule") && module.chars().all(class);
            let found = module.rsplit('.').next().filter(|_| named).unwrap_or("no login module");
            let message = format!(
                "expected a line that begins with \
                 `org.apache.kafka.common.security.….PlainLoginModule` or `…ScramLoginModule`, \
                 found {found}; other mechanisms are not supported"
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

fn export(location: &str) -> String {
    format!(
        "only PEM trust stores are supported; export the certificates with `keytool -list -rfc \
         -keystore {location} > ca.pem`, set this key to that file and ssl.truststore.type to PEM"
    )
}

fn convert(location: &str) -> String {
    format!(
        "Java key stores are not supported; convert this one with `keytool -importkeystore \
         -srckeystore {location} -destkeystore keystore.p12 -deststoretype PKCS12`, set this key to \
         that file and ssl.keystore.type to PKCS12"
    )
}

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

pub(super) fn scalar(value: &Value) -> Option<String> {
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
