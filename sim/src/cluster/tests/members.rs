//! Generations and member epochs that an earlier version of the model got wrong.

use super::*;

#[test]
fn a_classic_group_stays_in_its_generation_until_all_have_joined_again() {
    let mut it = Try::new();
    let (first, owned) = it.join("a", Protocol::Classic);
    let (second, none) = it.join("b", Protocol::Classic);
    assert_eq!((first, second, none.len()), (1, 2, 0));
    assert_eq!(it.plain("b", second, 5), Err(Error::IllegalGeneration), "it is not there yet");
    assert_eq!(it.plain("a", first, 5), Ok(()));
    let (given, owned) = it.beat("a", first, &owned).unwrap();
    assert_eq!(given, second);
    assert_eq!(it.plain("b", second, 6), Ok(()));
    assert_eq!(it.plain("a", first, 7), Err(Error::IllegalGeneration));

    it.leave("b");
    assert_eq!(it.plain("a", second, 8), Ok(()), "it has not noticed yet");
    let (third, _) = it.join("c", Protocol::Classic);
    assert_eq!(third, second + 1, "both changes are one rebalance");
    assert_eq!(it.beat("a", second, &owned).unwrap().0, third);
    assert_eq!(it.beat("a", second, &owned), Err(Error::IllegalGeneration));
}

#[test]
fn epochs_begin_at_two_and_a_wrong_one_is_fenced() {
    let mut it = Try::new();
    let (epoch, owned) = it.join("a", Protocol::Consumer);
    assert_eq!(epoch, 2);
    assert_eq!(it.beat("a", epoch + 1, &owned), Err(Error::FencedMemberEpoch));
    assert_eq!(it.beat("a", epoch - 1, &owned), Err(Error::FencedMemberEpoch));
    assert_eq!(it.beat("a", epoch, &owned), Ok((epoch, owned)));
}

#[test]
fn an_emptied_group_of_the_other_protocol_is_replaced_and_keeps_its_offsets() {
    let mut it = Try::new();
    let (generation, _) = it.join("a", Protocol::Classic);
    it.plain("a", generation, 5).unwrap();
    it.leave("a");
    assert_eq!(it.join("b", Protocol::Consumer).0, 2);
    it.leave("b");
    assert_eq!(it.join("c", Protocol::Classic).0, 1);
    assert_eq!(it.fetch(true), Ok(Some(5)));
}

#[test]
fn a_member_follows_to_the_next_epoch_when_it_has_given_up_what_it_must() {
    let mut it = Try::new();
    let (first, owned) = it.join("a", Protocol::Consumer);
    let (second, none) = it.join("b", Protocol::Consumer);
    assert_eq!((second, owned.len(), none.len()), (first + 1, 2, 0));
    let (still, kept) = it.beat("a", first, &owned).unwrap();
    assert_eq!((still, kept.len()), (first, 1));
    assert_eq!(it.beat("b", second, &none).unwrap().1.len(), 0, "it is still a's");
    assert_eq!(it.beat("a", first, &kept), Ok((second, kept)));
    assert_eq!(it.beat("b", second, &none).unwrap().1.len(), 1);
}

#[test]
fn partitions_of_a_leaver_are_reassigned_when_a_member_asks() {
    let mut it = Try::new();
    let (_, all) = it.join("a", Protocol::Consumer);
    let (epoch, none) = it.join("b", Protocol::Consumer);
    let (_, kept) = it.beat("a", epoch - 1, &all).unwrap();
    it.beat("a", epoch - 1, &kept).unwrap();
    let (_, given) = it.beat("b", epoch, &none).unwrap();
    it.leave("a");
    let (later, freed) = it.join("c", Protocol::Consumer);
    assert_eq!((later, freed), (epoch + 2, kept), "what was a's is free");
    assert_eq!(it.beat("b", epoch, &given), Ok((later, given)));
}
