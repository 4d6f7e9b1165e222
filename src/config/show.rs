//! The effective configuration for people and machines, each value with its origin; secrets are
//! redacted.

use serde_json::{Map, json};
use serde_yaml::Value;

use super::properties::is_secret;
use super::{Loaded, REDACTED};

/// One `key: value  # origin` line per effective value: a valid configuration file but for secrets.
#[must_use]
pub fn show_yaml(loaded: &Loaded) -> String {
    let mut out = String::new();
    for (key, leaf) in &loaded.effective {
        let shown = serde_json::to_string(&shown(key, &leaf.value)).unwrap_or_default();
        out.push_str(&format!("{key}: {shown}  # {}\n", leaf.origin));
    }
    out
}

/// The same as a JSON object of `{ "value": …, "origin": … }` by key.
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
    serde_json::to_value(value).unwrap_or_default()
}
