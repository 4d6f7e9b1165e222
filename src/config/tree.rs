//! Turns the files into one flat list of keys: parses them, overlays them and substitutes variables.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml::Value;

use super::error::ConfigError;
use super::lines;
use super::origin::Origin;

/// A scalar or a list, with its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// The value.
    pub value: Value,
    /// Its origin.
    pub origin: Origin,
}

/// Maps each key path to its leaf. Nested mappings and dotted keys are equivalent.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    pub(super) leaves: BTreeMap<String, Leaf>,
}

impl Tree {
    /// Overlays a file, key by key. A null resets a key to its default.
    pub(super) fn overlay(&mut self, file: &str, text: &str, errors: &mut Vec<ConfigError>) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let parsed = serde_yaml::from_str(text).and_then(|mut value: Value| {
            value.apply_merge()?;
            Ok(value)
        });
        let value: Value = match parsed {
            Ok(value) => value,
            Err(error) => {
                let line = error.location().map(|at| at.line());
                let origin = Origin::File { file: file.to_owned(), line };
                let message = format!("is not valid YAML: {error}");
                errors.push(ConfigError::at("", Some(&origin), message));
                return;
            }
        };
        let Value::Mapping(_) = &value else {
            let found = kind(&value);
            errors.push(ConfigError::in_file(
                file,
                format!("expected a mapping with the key `name` and other keys, found {found}"),
            ));
            return;
        };
        let lines = lines::of(text);
        let mut flat = Vec::new();
        flatten("", value, &mut flat);
        let mut written = BTreeSet::new();
        for (key, value) in flat {
            let line = lines::find(&lines, &key);
            let origin = Origin::File { file: file.to_owned(), line };
            if !written.insert(key.clone()) {
                let message =
                    "is set twice in this file, once nested and once with dots; keep one of them";
                errors.push(ConfigError::at(&key, Some(&origin), message));
            }
            let inside = format!("{key}.");
            let around = |path: &String| inside.starts_with(&format!("{path}."));
            self.leaves.retain(|path, _| !path.starts_with(&inside) && !around(path));
            if value != Value::Null {
                self.leaves.insert(key, Leaf { value, origin });
            }
        }
    }

    /// Replaces `${VAR}` in every string with the variable's value. `$${` stands for a literal `${`.
    pub(super) fn substitute(
        &mut self,
        variable: &dyn Fn(&str) -> Option<String>,
        errors: &mut Vec<ConfigError>,
    ) {
        for (key, leaf) in &mut self.leaves {
            let origin = leaf.origin.clone();
            let mut failed = |message| errors.push(ConfigError::at(key, Some(&origin), message));
            substitute_value(&mut leaf.value, variable, &mut failed);
        }
    }
}

/// The kind of a value, for error messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Sequence(_) => "a list",
        Value::Mapping(_) => "a mapping",
        Value::Tagged(_) => "a tagged value",
    }
}

fn flatten(prefix: &str, value: Value, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Mapping(mapping) => {
            for (key, value) in mapping {
                let key = match key.as_str() {
                    Some(text) => text.to_owned(),
                    None => serde_yaml::to_string(&key).unwrap_or_default().trim().to_owned(),
                };
                let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
                flatten(&path, value, out);
            }
        }
        Value::Tagged(tagged) => flatten(prefix, tagged.value, out),
        leaf @ (Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Sequence(_)) => out.push((prefix.to_owned(), leaf)),
    }
}

fn substitute_value(
    value: &mut Value,
    variable: &dyn Fn(&str) -> Option<String>,
    failed: &mut dyn FnMut(String),
) {
    match value {
        Value::String(text) => match substituted(text, variable) {
            Ok(new) => *text = new,
            Err(message) => failed(message),
        },
        Value::Sequence(items) => {
            items.iter_mut().for_each(|item| substitute_value(item, variable, failed));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Mapping(_) | Value::Tagged(_) => {}
    }
}

fn substituted(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at]);
            out.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let (name, behind) = rest[at + 2..]
            .split_once('}')
            .ok_or("a `${` has no closing `}`; close it, or write `$${` for a literal `${`")?;
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(legal) {
            return Err(format!(
                "expected `${{NAME}}` with letters, digits and `_`, found `${{{name}}}`; defaults and \
                 expressions are not supported"
            ));
        }
        let found = variable(name).ok_or_else(|| {
            format!(
                "the environment variable {name} is not set; set it, or write `$${{` for a literal `${{`"
            )
        })?;
        out.push_str(&found);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}
