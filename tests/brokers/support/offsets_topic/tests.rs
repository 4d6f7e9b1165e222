use super::*;

const KEY: &str = "00010002673100066f726465727300000003";

fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn key() -> CommitKey {
    CommitKey { group: "g1".to_owned(), topic: "orders".to_owned(), partition: 3 }
}

fn value(hex: &str) -> CommitValue {
    let decoded = decode(&bytes(KEY), Some(&bytes(hex))).unwrap();
    let OffsetRecord::Commit(found, value) = decoded else { panic!("not a commit: {decoded:?}") };
    assert_eq!(found, key());
    value
}

fn committed(leader_epoch: i32, topic_id: Option<[u8; 16]>) -> CommitValue {
    CommitValue {
        offset: 42,
        metadata: "m".to_owned(),
        commit_timestamp: 1_700_000_000_000,
        leader_epoch,
        topic_id,
    }
}

#[test]
fn every_known_version_decodes() {
    let v0 = "0000 000000000000002a 0001 6d 0000018bcfe56800";
    let v1 = "0001 000000000000002a 0001 6d 0000018bcfe56800 0000018bd50bc400";
    let v2 = "0002 000000000000002a 0001 6d 0000018bcfe56800";
    let v3 = "0003 000000000000002a 00000005 0001 6d 0000018bcfe56800";
    let v4 = "0004 000000000000002a 00000005 02 6d 0000018bcfe56800 01 00 10 \
              000102030405060708090a0b0c0d0e0f";
    for older in [v0, v1, v2] {
        assert_eq!(value(older), committed(-1, None), "{older}");
    }
    assert_eq!(value(v3), committed(5, None));
    let id = std::array::from_fn(|at| u8::try_from(at).unwrap());
    assert_eq!(value(v4), committed(5, Some(id)));
}

#[test]
fn a_record_of_a_real_4_1_broker_decodes() {
    let expected = CommitValue {
        offset: 2_217_128,
        metadata: String::new(),
        commit_timestamp: 1_758_335_260_726,
        leader_epoch: -1,
        topic_id: None,
    };
    assert_eq!(value("0004000000000021d4a8ffffffff010000019964f2d83600"), expected);
}

#[test]
fn other_tags_are_skipped_by_their_size() {
    let tagged = "0004 000000000000002a 00000005 02 6d 0000018bcfe56800 01 07 03 aabbcc";
    assert_eq!(value(tagged), committed(5, None));
}

#[test]
fn a_null_value_is_a_tombstone() {
    assert_eq!(decode(&bytes(KEY), None), Ok(OffsetRecord::Tombstone(key())));
}

#[test]
fn records_about_groups_are_not_taken_for_offsets() {
    for record_type in [2_i16, 3, 8, 15, 17, 99] {
        let mut key = record_type.to_be_bytes().to_vec();
        key.extend(bytes("00026731"));
        assert_eq!(decode(&key, Some(&[1, 2, 3])), Ok(OffsetRecord::Other(record_type)));
    }
}

#[test]
fn a_record_that_cannot_be_decoded_is_an_error() {
    let v3 = "0003 000000000000002a 00000005 0001 6d 0000018bcfe56800";
    let unknown_version = "0005 000000000000002a 00000005 02 6d 0000018bcfe56800 00";
    let null_metadata = "0003 000000000000002a 00000005 ffff 0000018bcfe56800";
    let too_long = format!("{v3} 00");
    for wrong in [unknown_version, null_metadata, &too_long, &v3[..21], ""] {
        assert!(decode(&bytes(KEY), Some(&bytes(wrong))).is_err(), "{wrong}");
    }
    for wrong in ["", "00", "0001 0002 67", "0001 ffff"] {
        assert!(decode(&bytes(wrong), None).is_err(), "{wrong}");
    }
}
