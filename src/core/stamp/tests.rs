#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn stamp() -> Stamp {
    Stamp {
        pipeline: PipelineId(0x0a1b_2c3d),
        fence_topic: FenceTopicTag(0x1111_1111),
        shard: Shard(3),
        shards: ShardCount(8),
        fence: Fence(41),
        mapping_topic: MappingTopicTag(0x2222_2222),
        mapping_partition: MappingPartition(0),
        as_of: MappingOffset(9_000),
        incarnation: Incarnation(0x3333_3333),
        source: SourceOffset(1_500),
        target: TargetOffset(1_400),
    }
}

const TEXT: &str = "v1:0a1b2c3d:11111111.3/8.41:22222222.0.9000:33333333:1500@1400";

fn parse(text: &str) -> Metadata {
    Metadata::parse(text, ["k2k_", "old_"])
}

#[test]
fn writes_the_documented_text() {
    let composed = stamp().compose("k2k_", &[], "");
    assert_eq!(composed.text, format!("k2k_{TEXT}"));
    assert!(!composed.source_metadata_dropped);
}

#[test]
fn keeps_the_sources_metadata_byte_for_byte() {
    for own in ["m", "a|b", "|", "k2k_", "k2k_v1:", "заказы", " k2k_v1:x"] {
        let composed = stamp().compose("k2k_", &[], own);
        let expected = Metadata::Stamped { stamp: stamp(), source_metadata: own.to_owned() };
        assert_eq!(parse(&composed.text), expected, "{own}");
    }
}

#[test]
fn strips_a_stamp_that_came_back_in_a_reversed_flow() {
    let there = stamp().compose("k2k_", &[], "own").text;
    let back = stamp().compose("k2k_", &[], &there).text;
    assert_eq!(back, format!("k2k_{TEXT}|own"));
    let renamed = stamp().compose("dr_", &["k2k_".to_owned()], &there).text;
    assert_eq!(renamed, format!("dr_{TEXT}|own"), "a former prefix's stamp is stripped too");
    let bare = stamp().compose("k2k_", &[], &format!("k2k_{TEXT}")).text;
    assert_eq!(bare, format!("k2k_{TEXT}"));
}

#[test]
fn leaves_out_source_metadata_that_does_not_fit() {
    let room = METADATA_MAX_UNITS - "k2k_".len() - TEXT.len() - 1;
    // A character outside the basic multilingual plane counts as two units, as in Java.
    let fits = "𝄞".repeat(room / 2);
    assert!(!stamp().compose("k2k_", &[], &fits).source_metadata_dropped);
    let too_long = stamp().compose("k2k_", &[], &"𝄞".repeat(room / 2 + 1));
    assert_eq!(too_long, Composed { text: format!("k2k_{TEXT}"), source_metadata_dropped: true });
    for (units, dropped) in [(room, false), (room + 1, true)] {
        let composed = stamp().compose("k2k_", &[], &"x".repeat(units));
        assert_eq!(composed.source_metadata_dropped, dropped, "{units} next to the stamp");
    }
}

#[test]
fn reads_former_prefixes_even_if_one_is_a_prefix_of_another() {
    assert!(matches!(parse(&format!("old_{TEXT}")), Metadata::Stamped { .. }));
    for prefixes in [["k2k_", "k2k_v"], ["k2k_v", "k2k_"], ["k2k_", "k2k_v1"]] {
        for written in prefixes {
            let read = Metadata::parse(&format!("{written}{TEXT}"), prefixes);
            assert!(
                matches!(read, Metadata::Stamped { .. }),
                "{written} of {prefixes:?}: {read:?}"
            );
        }
    }
}

#[test]
fn distinguishes_foreign_newer_and_malformed() {
    assert_eq!(parse(""), Metadata::Foreign);
    assert_eq!(parse("something else"), Metadata::Foreign);
    assert_eq!(parse("K2K_v1:x"), Metadata::Foreign);
    assert_eq!(parse("k2k_v2:whatever|follows"), Metadata::NewerVersion { version: 2 });
    assert_eq!(parse("k2k_v0:x"), Metadata::NewerVersion { version: 0 });
    for broken in [
        "k2k_".to_owned(),
        "k2k_v".to_owned(),
        "k2k_v1".to_owned(),
        "k2k_v1:".to_owned(),
        "k2k_v01:x".to_owned(),
        "k2k_v99999999999:x".to_owned(),
        format!("k2k_{TEXT}0x"),
        format!("k2k_{TEXT}:more"),
        format!("k2k_{}", TEXT.replace("1500@", "-1500@")),
        format!("k2k_{}", TEXT.replace("1500@", "+1500@")),
        format!("k2k_{}", TEXT.replace("1500@", "01500@")),
        format!("k2k_{}", TEXT.replace("0a1b2c3d", "0A1B2C3D")),
        format!("k2k_{}", TEXT.replace("0a1b2c3d", "a1b2c3d")),
        format!("k2k_{}", TEXT.replace("3/8.41", "3/8.99999999999999999999")),
    ] {
        assert_eq!(parse(&broken), Metadata::Malformed, "{broken}");
    }
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    let offset = 0..=i64::MAX;
    (
        any::<(u32, u32, u32, u32, u32, u32)>(),
        (0..=i32::MAX, offset.clone(), offset.clone(), offset.clone(), offset),
    )
        .prop_map(|(small, large)| Stamp {
            pipeline: PipelineId(small.0),
            fence_topic: FenceTopicTag(small.1),
            shard: Shard(small.2),
            shards: ShardCount(small.3),
            fence: Fence(large.1),
            mapping_topic: MappingTopicTag(small.4),
            mapping_partition: MappingPartition(large.0),
            as_of: MappingOffset(large.2),
            incarnation: Incarnation(small.5),
            source: SourceOffset(large.3),
            target: TargetOffset(large.4),
        })
}

proptest! {
    #[test]
    fn round_trips(stamp in any_stamp(), own in "[^|]{0,20}\\|?.{0,20}") {
        prop_assume!(!own.starts_with("k2k_v1:"));
        let composed = stamp.compose("k2k_", &[], &own);
        prop_assert_eq!(
            parse(&composed.text),
            Metadata::Stamped { stamp, source_metadata: own }
        );
    }

    #[test]
    fn any_text_is_one_of_the_four_and_a_stamp_has_one_spelling(
        text in "(k2k_|old_)?(v[0-2]:)?[0-9a-f:./@|v]{0,80}"
    ) {
        if let Metadata::Stamped { stamp, source_metadata } = parse(&text) {
            let tail = if text.contains('|') { format!("|{source_metadata}") } else { String::new() };
            prop_assert_eq!(&text[4..], format!("{stamp}{tail}"));
        }
    }

    #[test]
    fn a_changed_letter_is_never_the_same_stamp(at in 0..TEXT.len(), letter in "[0-9a-f:./@]") {
        let mut text = TEXT.to_owned();
        text.replace_range(at..=at, &letter);
        prop_assume!(text != TEXT);
        if let Metadata::Stamped { stamp: read, .. } = parse(&format!("k2k_{text}")) {
            prop_assert_ne!(read, stamp());
        }
    }
}
