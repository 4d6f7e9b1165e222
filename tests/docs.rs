//! The documents say what the code does, wherever a machine can tell: names of files, tests,
//! sections, configuration keys, log events, rows of the judge, reasons, and the format vectors.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use sprag_core::fence_log::{TakeOver, keep_alive};
use sprag_core::ids::Fence;
use sprag_core::mapping::{MappingRecord, Run};
use sprag_core::murmur2::murmur2;
use sprag_core::stamp::Metadata;
use sprag_mapping::native::{ChunkPlace, encode, mapping_partition};
use sprag_mapping::replication_policy::ReplicationPolicy;
use sprag_mapping::{Decoder, Format};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const DOCUMENTS: [&str; 8] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/mutants.md",
    "docs/protocol.md",
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
    for document in DOCUMENTS.into_iter().chain(["CHANGELOG.md"]) {
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
fn every_section_and_link_that_is_named_exists() {
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
    for link in all(r"\]\(([^)]+)\)", &documents) {
        let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
        assert!(file.is_empty() || Path::new(ROOT).join(file).exists(), "no {file}");
        let is_it = |heading: &String| heading.to_lowercase().replace(' ', "-") == anchor;
        assert!(anchor.is_empty() || headings.iter().any(is_it), "no section for {link}");
    }
}

#[test]
fn every_configuration_key_that_is_named_is_one() {
    let sections = "^(?:features|groups|offsetMapping|errorHandling|coordination|http)[.]";
    let reference: serde_yaml::Value = serde_yaml::from_str(&read("config/sprag.yaml")).unwrap();
    let named: Vec<_> = quoted(sections).into_iter().filter(|key| !key.ends_with(".rs")).collect();
    assert!(named.len() > 20, "{named:?}");
    for key in named {
        let path = key.split(':').next().unwrap().split('.');
        let value = path.fold(&reference, |value, part| &value[part]);
        assert!(!value.is_null(), "config/sprag.yaml has no key {key}");
    }
}

#[test]
fn the_readme_has_every_log_event_and_no_other() {
    let mut events = set(r"=> \x22([a-z_]+)\x22", &read("src/core/note.rs"));
    events.extend(set(r"event = \x22([a-z_]+)\x22", &code()));
    let columns = all(r"(?m)^\| (?:error|warn|info|debug)[^|]*\|([^|]+)\|", &read("README.md"));
    assert_eq!(set("`([a-z_]+)`", &columns.concat()), events);
}

#[test]
fn the_judge_has_the_rows_and_the_reasons_of_the_protocol() {
    let judge = section("The judge");
    let rows = set(r"(?m)^\| (\d+[ab]?) \|", &judge);
    assert_eq!(rows.len(), 19, "{rows:?}");
    assert_eq!(rows, set(r"// row (\d+[ab]?)", &read("src/core/judge.rs")), "src/core/judge.rs");
    let tested = set(r"\(\s*\x22(\d+[ab]?)[ \x22]", &read("src/core/judge/tests.rs"));
    assert_eq!(rows, tested, "src/core/judge/tests.rs");
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
