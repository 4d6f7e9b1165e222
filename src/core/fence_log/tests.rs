#![allow(clippy::unwrap_used)]

use super::*;

fn terms(name: &str, shards: u32, mode: CommitMode) -> TakeOver {
    let source = ClusterId::from("source-cluster");
    let target = ClusterId::from("target-cluster");
    let id = PipelineId::of(name, &source, &target);
    TakeOver::terms(id, name, &source, &target, ShardCount(shards), mode)
}

fn log(before: &TakeOver, members: Option<usize>) -> FenceLog {
    let record = before.record();
    FenceLog { newest: BTreeMap::from([(record.key, (Fence(7), record.value))]), members }
}

fn refusal(now: &TakeOver, before: &TakeOver, members: Option<usize>) -> String {
    now.may_follow(&log(before, members)).unwrap_err()
}

#[test]
fn an_empty_log_and_equal_terms_may_be_followed() {
    let ours = terms("dr", 8, CommitMode::Fenced);
    assert_eq!(ours.may_follow(&FenceLog::default()), Ok(()));
    assert_eq!(ours.may_follow(&log(&ours, None)), Ok(()));
}

#[test]
fn another_pipeline_cluster_or_shard_count_is_refused() {
    let ours = terms("dr", 8, CommitMode::Fenced);
    assert!(refusal(&ours, &terms("other", 8, CommitMode::Fenced), Some(1)).contains("name"));
    assert!(refusal(&ours, &terms("dr", 4, CommitMode::Fenced), Some(1)).contains("4 shards"));
    let moved = TakeOver { source: "elsewhere".to_owned(), ..ours.clone() };
    assert!(refusal(&ours, &moved, Some(1)).contains("source cluster id \"elsewhere\""));
    let moved = TakeOver { target: "elsewhere".to_owned(), ..ours.clone() };
    assert!(refusal(&ours, &moved, Some(1)).contains("target cluster id"));
}

#[test]
fn a_newer_stamp_version_is_refused_and_an_older_one_followed() {
    let ours = terms("dr", 8, CommitMode::Fenced);
    let newer = TakeOver { stamp: STAMP_VERSION + 1, ..ours.clone() };
    assert!(refusal(&ours, &newer, Some(1)).contains("newer Sprag"));
    let older = TakeOver { stamp: 0, ..ours.clone() };
    assert_eq!(ours.may_follow(&log(&older, None)), Ok(()));
}

#[test]
fn the_mode_changes_only_while_nobody_else_is_a_member() {
    let ours = terms("dr", 8, CommitMode::Guarded);
    let before = terms("dr", 8, CommitMode::Fenced);
    assert_eq!(ours.may_follow(&log(&before, Some(1))), Ok(()));
    assert!(refusal(&ours, &before, Some(2)).contains("2 members"));
    assert!(refusal(&ours, &before, None).contains("unknown number"));
}

#[test]
fn a_record_that_is_not_sprags_is_refused() {
    let newest = BTreeMap::from([(TAKE_OVER.to_owned(), (Fence(0), "hello".to_owned()))]);
    let refused = terms("dr", 8, CommitMode::Fenced)
        .may_follow(&FenceLog { newest, members: Some(1) })
        .unwrap_err();
    assert!(refused.contains("cannot be read"), "{refused}");
}

#[test]
fn floors_round_trip() {
    let floor = IncarnationFloor {
        source: TopicId([0xa0; 16]),
        target: TopicId([0x0b; 16]),
        mapping_topic: MappingTopicTag(0xfeed_0001),
        floor: MappingOffset(12),
        settled: MappingOffset(0),
    };
    let (source, target) = (TopicName::from("orders"), TopicName::from("main.orders"));
    let record = floor.record(&source, &target);
    let log = FenceLog {
        newest: BTreeMap::from([
            (record.key, (Fence(3), record.value)),
            ("incarnation:broken x".to_owned(), (Fence(4), "{}".to_owned())),
            ("keepalive".to_owned(), (Fence(5), keep_alive(Fence(1)).value)),
        ]),
        members: None,
    };
    assert_eq!(log.floors(), BTreeMap::from([((source, target), floor)]));
}

#[test]
fn a_floor_with_an_invalid_topic_id_is_left_out() {
    let ids = ["", "a0", &"é".repeat(16), &"a0".repeat(17), &"g0".repeat(16)];
    for id in ids {
        let value = format!(
            r#"{{"source":"{id}","target":"{}","mapping":"feed0001","floor":12}}"#,
            "0b".repeat(16)
        );
        let key = "incarnation:orders main.orders".to_owned();
        let log = FenceLog { newest: BTreeMap::from([(key, (Fence(3), value))]), members: None };
        assert_eq!(log.floors(), BTreeMap::new(), "{id}");
    }
}
