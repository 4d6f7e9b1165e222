//! Finds the line of each key in a YAML text. Only block mappings, which people usually write, are
//! resolved. A key inside a flow mapping gets the line of the enclosing block key.

use std::collections::BTreeMap;

/// Maps each key path to its line, counted from 1.
pub(super) fn of(text: &str) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    for (nth, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let Some(key) = key_of(trimmed) else {
            continue;
        };
        path.retain(|(outer, _)| *outer < indent);
        path.push((indent, key.to_owned()));
        let whole: Vec<&str> = path.iter().map(|(_, key)| key.as_str()).collect();
        lines.entry(whole.join(".")).or_insert(nth + 1);
    }
    lines
}

/// The line of `path`, or of the nearest enclosing key with a known line.
pub(super) fn find(lines: &BTreeMap<String, usize>, path: &str) -> Option<usize> {
    let mut path = path;
    loop {
        if let Some(line) = lines.get(path) {
            return Some(*line);
        }
        path = path.rsplit_once('.')?.0;
    }
}

fn key_of(line: &str) -> Option<&str> {
    if line.starts_with(['#', '-', '{', '[']) {
        return None;
    }
    let (key, rest) = line.split_once(':')?;
    let ends = rest.is_empty() || rest.starts_with([' ', '\t']);
    let key = key.trim().trim_matches(['"', '\'']);
    (ends && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_their_path() {
        let text = "# comment\nname: x\ngroups:\n  pollInterval: 5s\n  exclude: []\nsource:\n  \
                    kafka:\n    common: { bootstrap.servers: \"a:1\" }\n";
        let lines = of(text);
        assert_eq!(find(&lines, "name"), Some(2));
        assert_eq!(find(&lines, "groups.pollInterval"), Some(4));
        assert_eq!(find(&lines, "source.kafka.common.bootstrap.servers"), Some(8));
        assert_eq!(find(&lines, "nowhere"), None);
    }
}
