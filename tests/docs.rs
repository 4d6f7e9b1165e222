//! The documents agree with the code wherever a machine can check it: names of files, tests, sections,
//! links, configuration keys with their defaults, log events, rows of the judge, reasons, and the format
//! vectors.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use sprag::config::duration;
use sprag_core::fence_log::{TakeOver, keep_alive};
use sprag_core::ids::Fence;
use sprag_core::mapping::{MappingRecord, Run};
use sprag_core::murmur2::murmur2;
use sprag_core::stamp::Metadata;
use sprag_mapping::native::{ChunkPlace, encode, mapping_partition};
use sprag_mapping::replication_policy::ReplicationPolicy;
use sprag_mapping::{Decoder, Format};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const DOCUMENTS: [&str; 17] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "docs/README.md",
    "docs/comparison.md",
    "docs/configuration.md",
    "docs/from-k2k.md",
    "docs/glossary.md",
    "docs/guarantees.md",
    "docs/mutants.md",
    "docs/protocol.md",
    "docs/running.md",
    "docs/testing.md",
    "fuzz/README.md",
    "sim/README.md",
    "sim/explore/README.md",
];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// The section of the protocol with this heading.
fn section(heading: &str) -> String {
    let text = read("docs/protocol.md");
    let begun = text.split_once(&format!("\n## {heading}\n")).unwrap().1;
    begun.split("\n## ").next().unwrap().to_owned()
}

fn all(pattern: &str, text: &str) -> Vec<String> {
    let found = Regex::new(pattern).unwrap();
    found.captures_iter(text).map(|found| found[1].to_owned()).collect()
}

fn set(pattern: &str, text: &str) -> BTreeSet<String> {
    all(pattern, text).into_iter().collect()
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What stands between backticks in the running text of the documents, if `pattern` fits it.
fn quoted(pattern: &str) -> Vec<String> {
    let (block, wanted) = (Regex::new("(?s)```.*?```").unwrap(), Regex::new(pattern).unwrap());
    let text = DOCUMENTS.map(read).map(|text| block.replace_all(&text, "").into_owned()).concat();
    all("`([^`\n]+)`", &text).into_iter().filter(|quoted| wanted.is_match(quoted)).collect()
}

/// Every file and folder of the tree that is not built, by its path.
fn tree() -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![String::new()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(Path::new(ROOT).join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{folder}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() && path != "target" && path != ".git" {
                folders.push(format!("{path}/"));
            }
            found.push(path);
        }
    }
    found
}

/// The code, but for the words of this test.
fn code() -> String {
    let files = tree().into_iter().filter(|path| path.ends_with(".rs") && path != "tests/docs.rs");
    files.map(|path| read(&path)).collect()
}

#[test]
fn no_document_holds_the_marks_of_a_merge() {
    for document in DOCUMENTS {
        let text = read(document);
        let marks =
            text.lines().filter(|line| line.starts_with("<<<<<<<") || line.starts_with(">>>>>>>"));
        assert_eq!(marks.count(), 0, "{document}");
    }
}

#[test]
fn every_file_and_test_that_is_named_exists() {
    let (tree, code) = (tree(), code());
    let paths = quoted(r"^[\w.-]+(/[\w.-]+)*(\.(rs|md|yaml|toml|tsv)|/)$|^[\w.-]+(/[\w.-]+)+$");
    assert!(paths.len() > 60, "{paths:?}");
    for path in paths {
        let below = format!("/{}", path.trim_end_matches('/'));
        let found = tree.iter().any(|found| format!("/{found}").ends_with(&below));
        assert!(found, "{path} is named in a document, and is not there");
    }
    for test in quoted("^[a-z0-9]+(_[a-z0-9]+){3,}$") {
        assert!(code.contains(&format!("fn {test}(")), "no test {test}");
    }
}

#[test]
fn every_section_that_is_named_exists() {
    let headings = set("(?m)^## (.+)$", &read("docs/protocol.md"));
    let documents = DOCUMENTS.map(read).concat();
    let comment = Regex::new(r"\n\s*//[/!]?").unwrap();
    let text = in_one_line(&comment.replace_all(&(code() + &documents), " "));
    let named = all("docs/protocol.md`, (\"[^\"]+\"(?: and \"[^\"]+\")*)", &text);
    let sections: Vec<_> = named.iter().flat_map(|named| all("\"([^\"]+)\"", named)).collect();
    assert!(sections.len() > 15, "{sections:?}");
    for section in sections {
        assert!(headings.contains(&section), "docs/protocol.md has no section {section:?}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    for document in DOCUMENTS {
        let links = all(r"\]\(([^)]+)\)", &read(document));
        for link in links.into_iter().filter(|link| !link.starts_with("https://")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            // A link is relative to the folder of the page that it is on.
            let folder = Path::new(ROOT).join(document);
            let path = match file {
                "" => folder,
                file => folder.parent().unwrap().join(file),
            };
            assert!(path.exists(), "{document}: no {file}");
            let anchors = || set("(?m)^#+ (.+)$", &fs::read_to_string(&path).unwrap());
            let found =
                anchor.is_empty() || anchors().iter().any(|heading| slug(heading) == anchor);
            assert!(found, "{document}: no section for {link}");
        }
    }
}

/// The anchor of a heading, as GitHub makes it.
fn slug(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

#[test]
fn the_index_has_every_page_of_the_docs() {
    let pages = DOCUMENTS.iter().filter_map(|document| document.strip_prefix("docs/"));
    let pages: BTreeSet<_> = pages.filter(|page| *page != "README.md").map(str::to_owned).collect();
    let files = fs::read_dir(Path::new(ROOT).join("docs")).unwrap();
    let files = files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    let files: BTreeSet<_> = files.filter(|name| name != "README.md").collect();
    assert_eq!(pages, files, "DOCUMENTS");
    assert_eq!(pages, set(r"\| \[([a-z0-9-]+\.md)\]", &read("docs/README.md")), "docs/README.md");
}

#[test]
fn every_configuration_key_that_is_named_is_one() {
    let sections = "^(?:features|groups|offsetMapping|errorHandling|coordination|http)[.]";
    // The one key that is commented out, because it has no default of its own.
    let reference = read("config/sprag.yaml").replace("# fenceTopicRepl", "fenceTopicRepl");
    let reference: serde_yaml::Value = serde_yaml::from_str(&reference).unwrap();
    let ignored = set(r"\x22([a-zA-Z0-9.]+)\x22", &read("src/config/keys.rs"));
    let named: Vec<_> = quoted(sections).into_iter().filter(|key| !key.ends_with(".rs")).collect();
    assert!(named.len() > 20, "{named:?}");
    for key in named {
        let path = key.split(':').next().unwrap();
        let value = path.split('.').fold(&reference, |value, part| &value[part]);
        let known = !value.is_null() || ignored.contains(path);
        assert!(known, "neither config/sprag.yaml nor src/config/keys.rs has the key {key}");
    }
}

#[test]
fn the_reference_of_the_configuration_has_every_key_with_its_default() {
    let keys = read("src/config/keys.rs");
    let (_, keys) = keys.split_once("KEYS: &[(&str, &str)] = &[").unwrap();
    let (keys, _) = keys.split_once("];").unwrap();
    let pair = Regex::new(r"\(\x22([a-zA-Z0-9.]+)\x22, \x22([^\x22]*)\x22\)").unwrap();
    let pairs: Vec<_> = pair.captures_iter(keys).map(|pair| pair.extract::<2>().1).collect();
    assert!(pairs.len() > 25, "{pairs:?}");
    for [key, default] in &pairs {
        let found = &cells_of(key)[2];
        let expected = format!("`{}`", default.trim_matches('\''));
        assert!(default.is_empty() || *found == expected, "{key}: {found} is not {expected}");
    }
    let sections = "features|groups|offsetMapping|errorHandling|coordination|http";
    let rows = set(&format!(r"(?m)^\| `((?:{sections})[^`]*)`"), &read("docs/configuration.md"));
    let known = pairs.iter().map(|[key, _]| (*key).to_owned()).filter(|key| key != "name");
    assert_eq!(rows, known.collect(), "docs/configuration.md");
}

#[test]
fn the_reference_of_the_configuration_has_the_range_of_every_duration() {
    let range =
        r"(?s)key: \x22([^\x22]+)\x22,\s+least: \x22([^\x22]+)\x22,\s+most: \x22([^\x22]+)\x22";
    let keys = read("src/config/keys.rs");
    let ranges = Regex::new(range).unwrap();
    let ranges: Vec<_> = ranges.captures_iter(&keys).map(|range| range.extract::<3>().1).collect();
    assert!(ranges.len() > 3, "{ranges:?}");
    for [key, least, most] in ranges {
        let cells = cells_of(key);
        let (from, to) = cells[1].split_once(" to ").unwrap();
        for (written, limit) in [(from, least), (to, most)] {
            assert_eq!(duration::parse(written), duration::parse(limit), "{key}: {}", cells[1]);
        }
    }
}

/// The row of a key in the reference of the configuration: the key, its values, its default, its meaning.
fn cells_of(key: &str) -> Vec<String> {
    let reference = read("docs/configuration.md");
    let row = reference.lines().find(|line| line.starts_with(&format!("| `{key}` |")));
    let row = row.unwrap_or_else(|| panic!("docs/configuration.md has no row for {key}"));
    row.replace(r"\|", "/").split(" | ").map(str::to_owned).collect()
}

#[test]
fn the_page_on_logs_has_every_event_and_no_other() {
    let mut events = set(r"=> \x22([a-z_]+)\x22", &read("src/core/note.rs"));
    events.extend(set(r"event = \x22([a-z_]+)\x22", &code()));
    let columns =
        all(r"(?m)^\| (?:error|warn|info|debug)[^|]*\|([^|]+)\|", &read("docs/running.md"));
    assert_eq!(set("`([a-z_]+)`", &columns.concat()), events);
}

#[test]
fn the_judge_has_the_rows_and_the_reasons_of_the_protocol() {
    let judge = section("The judge");
    let rows = set(r"(?m)^\| (\d+[ab]?) \|", &judge);
    assert_eq!(rows.len(), 19, "{rows:?}");
    assert_eq!(rows, set(r"// row (\d+[ab]?)", &read("src/core/judge.rs")), "src/core/judge.rs");
    let specified = set(r"\(\x22(\d+[ab]?)\x22, \|", &read("sim/spec/src/judge.rs"));
    assert_eq!(rows, specified, "sim/spec/src/judge.rs");
    let reasons = set(r"=> \x22([A-Z]\w+)\x22", &read("src/core/verdict.rs"));
    assert_eq!(set(r"\*([A-Z][A-Za-z]+)\*", &judge), reasons, "src/core/verdict.rs");
}

#[test]
fn the_vectors_decode_to_what_stands_beside_them() {
    let stamp = all("(?m)^    k2k_(.+)$", &section("The stamp")).remove(0);
    let parsed = Metadata::parse(&format!("k2k_{stamp}"), ["k2k_"]);
    assert!(matches!(&parsed, Metadata::Stamped { stamp: read, .. } if read.to_string() == stamp));

    let text = in_one_line(&section("Mapping records"));
    let vectors: Vec<_> = all("`([0-9a-f]{20,})`", &text).iter().map(|hex| bytes(hex)).collect();
    let [key, value, sync_key, sync_value] = vectors.try_into().unwrap();
    let decoded = Decoder::new(Format::Native).decode(Some(&key), Some(&value));
    let Ok(MappingRecord::Chunk(chunk)) = decoded else { panic!("{decoded:?}") };
    let place = ChunkPlace { epoch: 7, sequence: 0, newest_timestamp: 1_795_400_000_000 };
    assert_eq!(encode(&chunk, place), Ok((key, value)));
    let policy = ReplicationPolicy::default_policy("main", "dr", ".");
    let mut decoder = Decoder::new(Format::MirrorMaker2(policy));
    let decoded = decoder.decode(Some(&sync_key), Some(&sync_value));
    let Ok(MappingRecord::Sync(sync)) = decoded else { panic!("{decoded:?}") };
    let run = |run: &Run| format!("{}→{} ×{}", run.source, run.target, run.len);
    let runs: Vec<String> = chunk.runs.iter().map(run).collect();
    for told in [
        format!("({} → {}; publisher `{}`", chunk.source, chunk.target, chunk.publisher),
        format!("epoch {}, chunk {};", place.epoch, place.sequence),
        format!("timestamp {}; runs {}", place.newest_timestamp, runs.join(", ")),
        format!("{} of 4 partitions goes to {}", chunk.source, mapping_partition(&chunk.source, 4)),
        format!("murmur2(\"21\") is {}", murmur2(b"21").cast_signed()),
        format!("{}, {} → {}:", sync.source, sync.source_offset, sync.target_offset),
    ] {
        assert!(text.contains(&told), "the vectors' text lacks {told:?}");
    }
}

#[test]
fn the_fence_log_holds_the_records_that_are_shown() {
    let shown = section("The fence log");
    let take_over = all("`takeover` [|] `([^`]+)`", &shown).remove(0);
    let record = serde_json::from_str::<TakeOver>(&take_over).unwrap().record();
    assert_eq!((record.key, record.value), ("takeover".to_owned(), take_over));
    let kept = keep_alive(Fence(41));
    assert!(shown.contains(&format!("`{}` | `{}`", kept.key, kept.value)), "{kept:?}");
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}
