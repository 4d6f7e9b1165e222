//! Stamps: written and read back, and read from any text at all, beside a reading by a regular
//! expression.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::Situations;
use super::choices::Choices;
use sprag_core::ids::{
    Fence, FenceTopicTag, Incarnation, MappingOffset, MappingPartition, MappingTopicTag,
    PipelineId, Shard, ShardCount, SourceOffset, TargetOffset,
};
use sprag_core::stamp::{METADATA_MAX_UNITS, Metadata, Stamp};

pub(super) const SITUATIONS: &[&str] = &[
    "foreign",
    "malformed",
    "newer version",
    "stamped",
    "stamped, with metadata",
    "several prefixes fit",
    "metadata kept",
    "metadata stripped of stamps",
    "metadata dropped",
];

/// What stands behind a prefix; the source's metadata may hold line ends.
static STAMP: LazyLock<Regex> = LazyLock::new(|| {
    let (id, number) = ("([0-9a-f]{8})", "(0|[1-9][0-9]*)");
    pattern(&format!(
        "(?s)^v1:{id}:{id}[.]{number}/{number}[.]{number}:{id}[.]{number}[.]{number}:{id}:{number}\
         @{number}(?:[|](.*))?$"
    ))
});
static VERSION: LazyLock<Regex> = LazyLock::new(|| pattern("^v(0|[1-9][0-9]*):"));

fn pattern(text: &str) -> Regex {
    match Regex::new(text) {
        Ok(regex) => regex,
        Err(error) => panic!("{error}"),
    }
}

pub(super) fn run(bytes: &[u8], situations: &mut Situations) {
    let choices = &mut Choices::new(bytes);
    let mut prefixes: Vec<String> = (0..=choices.below(3)).map(|_| prefix(choices)).collect();
    let own = prefixes.remove(0);
    if choices.flag() {
        let text = String::from_utf8_lossy(choices.rest()).into_owned();
        let text = if text.starts_with('v') { format!("{own}{text}") } else { text };
        read(&text, &own, &prefixes, situations);
    } else {
        let stamp = stamp(choices);
        let metadata = metadata(choices, &own, &prefixes);
        written(stamp, &metadata, &own, &prefixes, situations);
    }
}

fn prefix(choices: &mut Choices<'_>) -> String {
    let usual = ["k2k_", "k2k_v", "k", "sprag-", "v", "v1", "\u{1f512}", " "];
    match choices.below(usual.len() + 1) {
        own if own == usual.len() => {
            let text: String = choices.text().replace([':', '|'], "");
            if text.is_empty() { "x".to_owned() } else { text }
        }
        nth => usual[nth].to_owned(),
    }
}

fn stamp(choices: &mut Choices<'_>) -> Stamp {
    Stamp {
        pipeline: PipelineId(choices.word()),
        fence_topic: FenceTopicTag(choices.word()),
        shard: Shard(choices.word()),
        shards: ShardCount(choices.word()),
        fence: Fence(choices.natural()),
        mapping_topic: MappingTopicTag(choices.word()),
        mapping_partition: MappingPartition((choices.word() >> 1).cast_signed()),
        as_of: MappingOffset(choices.natural()),
        incarnation: Incarnation(choices.word()),
        source: SourceOffset(choices.natural()),
        target: TargetOffset(choices.natural()),
    }
}

/// The source consumer's own metadata: anything, also stamps of ours, and too much of it.
fn metadata(choices: &mut Choices<'_>, own: &str, former: &[String]) -> String {
    let mut metadata = String::new();
    for _ in 0..choices.below(4) {
        let stamp = stamp(choices);
        match choices.below(4) {
            0 => metadata.push_str(&format!("{own}{stamp}|")),
            1 => {
                let prefix = former.first().map_or(own, String::as_str);
                metadata.push_str(&format!("{prefix}{stamp}|"));
            }
            2 => metadata.push_str(&format!("{own}{stamp}")),
            _ => metadata.push_str(&choices.text()),
        }
    }
    let times = if choices.rarely(8) { 4 * choices.below(1024) } else { 1 };
    let rest = String::from_utf8_lossy(choices.rest()).into_owned();
    metadata + &rest.repeat(times.min(1 + METADATA_MAX_UNITS * 2 / rest.len().max(1)))
}

fn parse(text: &str, own: &str, former: &[String]) -> Metadata {
    Metadata::parse(text, former.iter().map(String::as_str).chain([own]))
}

/// Any text: what it is, by the words of `docs/protocol.md`, "The stamp".
fn read(text: &str, own: &str, former: &[String], situations: &mut Situations) {
    let parsed = parse(text, own, former);
    let expected = expected(text, own, former, situations);
    assert_eq!(parsed, expected, "{text:?} under the prefixes {own:?} and {former:?}");
    situations.reach(match &parsed {
        Metadata::Foreign => "foreign",
        Metadata::Malformed => "malformed",
        Metadata::NewerVersion { .. } => "newer version",
        Metadata::Stamped { source_metadata, .. } if source_metadata.is_empty() => "stamped",
        Metadata::Stamped { .. } => "stamped, with metadata",
    });
    if let Metadata::Stamped { stamp, source_metadata } = parsed {
        let behind = format!("{stamp}|{source_metadata}");
        let spelled = text.ends_with(&behind) || text.ends_with(&stamp.to_string());
        assert!(spelled, "{text:?} is another spelling of {stamp}");
    }
}

fn expected(text: &str, own: &str, former: &[String], situations: &mut Situations) -> Metadata {
    let prefixes = former.iter().map(String::as_str).chain([own]);
    let behind: Vec<&str> = prefixes.filter_map(|prefix| text.strip_prefix(prefix)).collect();
    if behind.len() > 1 {
        situations.reach("several prefixes fit");
    }
    if behind.is_empty() {
        return Metadata::Foreign;
    }
    let versioned = behind.iter().find_map(|rest| Some((*rest, VERSION.captures(rest)?)));
    let Some((rest, version)) = versioned else {
        return Metadata::Malformed;
    };
    match version[1].parse::<u32>() {
        Err(_) => Metadata::Malformed,
        Ok(1) => STAMP.captures(rest).and_then(|found| captured(&found)).map_or(
            Metadata::Malformed,
            |(stamp, metadata)| Metadata::Stamped { stamp, source_metadata: metadata },
        ),
        Ok(version) => Metadata::NewerVersion { version },
    }
}

/// The numbers of a stamp; `None` where one does not fit.
fn captured(found: &Captures<'_>) -> Option<(Stamp, String)> {
    let id = |nth: usize| u32::from_str_radix(&found[nth], 16).ok();
    let long = |nth: usize| found[nth].parse::<i64>().ok();
    let word = |nth: usize| found[nth].parse::<u32>().ok();
    let stamp = Stamp {
        pipeline: PipelineId(id(1)?),
        fence_topic: FenceTopicTag(id(2)?),
        shard: Shard(word(3)?),
        shards: ShardCount(word(4)?),
        fence: Fence(long(5)?),
        mapping_topic: MappingTopicTag(id(6)?),
        mapping_partition: MappingPartition(found[7].parse().ok()?),
        as_of: MappingOffset(long(8)?),
        incarnation: Incarnation(id(9)?),
        source: SourceOffset(long(10)?),
        target: TargetOffset(long(11)?),
    };
    Some((stamp, found.get(12).map(|rest| rest.as_str().to_owned()).unwrap_or_default()))
}

/// A stamp that is written is read back, with the source's metadata behind it.
fn written(
    stamp: Stamp,
    metadata: &str,
    own: &str,
    former: &[String],
    situations: &mut Situations,
) {
    let composed = stamp.compose(own, former, metadata);
    let kept = stripped(metadata, own, former);
    if kept.len() < metadata.len() {
        situations.reach("metadata stripped of stamps");
    }
    let alone = format!("{own}{stamp}");
    let whole = if kept.is_empty() { alone.clone() } else { format!("{alone}|{kept}") };
    let fits = whole.encode_utf16().count() <= METADATA_MAX_UNITS || kept.is_empty();
    assert_eq!(composed.source_metadata_dropped, !fits, "{composed:?} of {metadata:?}");
    assert_eq!(composed.text, if fits { whole } else { alone }, "{metadata:?}");
    let source_metadata = if fits { kept.to_owned() } else { String::new() };
    situations.reach(match (fits, kept.is_empty()) {
        (false, _) => "metadata dropped",
        (true, false) => "metadata kept",
        (true, true) => "stamped",
    });
    let read = parse(&composed.text, own, former);
    let expected = Metadata::Stamped { stamp, source_metadata };
    assert_eq!(read, expected, "{composed:?} under the prefixes {own:?} and {former:?}");
}

/// The metadata from behind the last of the stamps that it begins with.
fn stripped<'a>(metadata: &'a str, own: &str, former: &[String]) -> &'a str {
    let mut rest = metadata;
    while let Metadata::Stamped { source_metadata, .. } =
        expected(rest, own, former, &mut Situations::default())
    {
        rest = &rest[rest.len() - source_metadata.len()..];
    }
    rest
}
