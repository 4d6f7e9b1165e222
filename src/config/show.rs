//! Prints the effective configuration for people and machines, each value with its origin. Secrets are
//! redacted.

use serde_json::{Map, json};
use serde_yaml::Value;

use super::properties::is_secret;
use super::{Loaded, REDACTED};

/// One `key: value  # origin` line per effective value. The result is a valid configuration file, except
/// that secrets are redacted.
#[must_use]
pub fn show_yaml(loaded: &Loaded) -> String {
    let mut out = String::new();
    for (key, leaf) in &loaded.effective {
        // Variables are already substituted, so a remaining `${` is literal.
        let value = serde_json::to_string(&shown(key, &leaf.value)).unwrap_or_default();
        let value = value.replace("${", "$${");
        out.push_str(&format!("{key}: {value}  # {}\n", leaf.origin));
    }
    out
}

/// The effective configuration as a JSON object that maps each key to `{ "value": …, "origin": … }`.
#[must_use]
pub fn show_json(loaded: &Loaded) -> String {
    let entries: Map<String, serde_json::Value> = loaded
        .effective
        .iter()
        .map(|(key, leaf)| {
            let value = shown(key, &leaf.value);
            (key.clone(), json!({ "value": value, "origin": leaf.origin.to_string() }))
        })
        .collect();
    serde_json::to_string_pretty(&entries).unwrap_or_default()
}

fn shown(key: &str, value: &Value) -> serde_json::Value {
    if is_secret(key) {
        return json!(REDACTED);
    }
    match value {
        Value::String(text) => json!(without_credentials(text)),
        Value::Sequence(items) => items.iter().map(|item| shown(key, item)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Mapping(_) | Value::Tagged(_) => {
            serde_json::to_value(value).unwrap_or_default()
        }
    }
}

/// Redacts the password of each `user:password@host` in the text.
pub(super) fn without_credentials(text: &str) -> String {
    let part =
        |part: &str| match part.rsplit_once('@').map(|(who, host)| (who.split_once(':'), host)) {
            Some((Some((user, _)), host)) => format!("{user}:{REDACTED}@{host}"),
            Some((None, _)) | None => part.to_owned(),
        };
    text.split_inclusive(['/', ',', ' ']).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_addresses_are_redacted() {
        for (text, shown) in [
            ("https://u:pw@h:1/x,u:pw@i", "https://u:********@h:1/x,u:********@i"),
            ("https://u@h:1/x", "https://u@h:1/x"),
            ("u:p@w@h:1", "u:********@h:1"),
            ("127.0.0.1:9092", "127.0.0.1:9092"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }
}
