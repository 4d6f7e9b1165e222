//! Reads single values. An error says what was expected and what was found.

use std::time::Duration;

use serde_yaml::Value;

use super::duration;
use super::keys;
use super::origin::Origin;
use super::reader::Reader;
use super::show::without_credentials;
use super::tree::kind;

/// The longest topic name that Kafka accepts, in characters.
const LONGEST_TOPIC: usize = 249;

/// Whether Kafka accepts the character in a topic name.
fn legal_in_topic(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

impl Reader<'_> {
    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.scalar(key, "a string")
    }

    fn scalar(&mut self, key: &str, expected: &str) -> Option<String> {
        let found = match &self.tree.leaves.get(key)?.value {
            Value::String(text) => return Some(text.clone()),
            Value::Number(number) => return Some(number.to_string()),
            Value::Bool(flag) => flag.to_string(),
            other @ (Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_)) => {
                kind(other).to_owned()
            }
        };
        self.fail(key, format!("expected {expected}, found {found}"));
        None
    }

    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(leaf) = self.tree.leaves.get(key) else {
            return Vec::new();
        };
        let Value::Sequence(items) = &leaf.value else {
            let found = kind(&leaf.value);
            self.fail(key, format!("expected a list of strings, found {found}"));
            return Vec::new();
        };
        let texts: Vec<_> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if let Some(other) = items.iter().find(|item| !item.is_string()) {
            let found = kind(other);
            self.fail(key, format!("expected a list of strings; one of the items is {found}"));
        }
        texts
    }

    /// Reads a duration within the range of its key.
    pub(super) fn duration(&mut self, key: &str) -> Duration {
        let Some(text) = self.scalar(key, "a duration such as `5 seconds`") else {
            return Duration::ZERO;
        };
        match duration::parse(&text).and_then(|found| in_range(key, found, &text)) {
            Ok(duration) => duration,
            Err(message) => {
                self.fail(key, message);
                Duration::ZERO
            }
        }
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        let expected = names.join(" or ");
        let text = self.scalar(key, &expected)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        self.fail(key, format!("expected {expected}, found {text:?}"));
        None
    }

    pub(super) fn enabled(&mut self, key: &str) -> bool {
        self.choice(key, &[("enabled", true), ("disabled", false)]).unwrap_or_default()
    }

    /// Reads a topic name that Kafka accepts.
    pub(super) fn topic(&mut self, key: &str) -> Option<String> {
        let topic = self.scalar(key, "a topic name")?;
        let legal = topic.chars().all(legal_in_topic) && topic != "." && topic != "..";
        if topic.is_empty() || !legal || topic.len() > LONGEST_TOPIC {
            let message = format!(
                "expected a topic name (up to {LONGEST_TOPIC} letters, digits, `.`, `_` or `-`), \
                 found {topic:?}"
            );
            self.fail(key, message);
            return None;
        }
        Some(topic)
    }

    /// Adds an error if the text cannot be part of a topic name.
    pub(super) fn part_of_topic(&mut self, key: &str, text: &str, longest: usize) {
        if !text.chars().all(legal_in_topic) || text.len() > longest {
            let message = format!(
                "expected up to {longest} letters, digits, `.`, `_` or `-` (it becomes part of a topic \
                 name), found {text:?}"
            );
            self.fail(key, message);
        }
    }

    /// Reads a regular expression.
    pub(super) fn expression(&mut self, key: &str) -> Option<String> {
        let text = self.scalar(key, "a regular expression or a list of names")?;
        self.is_expression(key, &text).then_some(text)
    }

    /// Whether the text is a valid regular expression on its own. The core embeds it in a larger one,
    /// which must not make an invalid text valid.
    pub(super) fn is_expression(&mut self, key: &str, text: &str) -> bool {
        let wrong = regex::Regex::new(text).err();
        if let Some(error) = &wrong {
            self.fail(key, format!("is not a valid regular expression: {error}"));
        }
        wrong.is_none()
    }

    /// Reads the address of the status page.
    pub(super) fn listen(&mut self, notices: &mut Vec<String>) -> String {
        const LISTEN: &str = "http.listen";
        let listen = self.text(LISTEN).unwrap_or_default();
        if !is_host_and_port(&listen) {
            self.fail(LISTEN, format!("expected host:port, found {listen:?}"));
        }
        let set = self.tree.leaves.get(LISTEN).filter(|leaf| leaf.origin != Origin::Default);
        if set.is_some() && listen != keys::default(LISTEN) {
            notices.push(format!("{LISTEN} is not used yet: there is no status page"));
        }
        listen
    }

    /// Adds an error if a cluster has no bootstrap servers, or if one of them is not a valid address.
    pub(super) fn bootstrap_servers(&mut self, side: &str) {
        const NAME: &str = "bootstrap.servers";
        let common = format!("{side}.kafka.common.{NAME}");
        let mut set = false;
        for section in ["common", "admin", "consumer", "producer"] {
            let key = format!("{side}.kafka.{section}.{NAME}");
            let Some(leaf) = self.tree.leaves.get(&key) else {
                continue;
            };
            set |= matches!(section, "common" | "admin");
            let Some(servers) = super::properties::scalar(&leaf.value) else {
                continue;
            };
            let mut servers = servers.split(',').map(str::trim);
            if let Some(wrong) = servers.find(|server| !is_server(server)) {
                let found = without_credentials(wrong);
                self.fail(&key, format!("expected host:port,host:port,…, found {found:?}"));
            }
        }
        if !set {
            let message = "is missing; set it to the cluster's brokers, as host:port,host:port,…";
            self.fail(&common, message);
        }
    }
}

/// Returns the duration if it is within the range of its key.
fn in_range(key: &str, found: Duration, text: &str) -> Result<Duration, String> {
    let Some(range) = keys::range(key) else {
        return Ok(found);
    };
    let (least, most) = (duration::parse(range.least)?, duration::parse(range.most)?);
    if (least..=most).contains(&found) {
        return Ok(found);
    }
    let (least, most, why) = (range.least, range.most, range.why);
    Err(format!("expected a duration from {least} to {most}, found {text:?}; {why}"))
}

/// Whether the text is a bootstrap server: `host:port` as in Java, or with a protocol in front, which
/// librdkafka accepts.
fn is_server(text: &str) -> bool {
    let protocols = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
    match text.split_once("://") {
        Some((protocol, rest)) => {
            protocols.iter().any(|known| known.eq_ignore_ascii_case(protocol))
                && is_host_and_port(rest)
        }
        None => is_host_and_port(text),
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let named = !host.is_empty() && !host.contains([':', '/', '@']);
    let port = port.parse::<u16>().is_ok_and(|port| port > 0);
    port && (bracketed || named) && !host.contains(char::is_whitespace)
}
