//! Verified: an offset written in a transaction becomes visible only after its owner has read the stored
//! offset again and compared it with the one it judged. The request that ended the transaction was sent
//! after that read, and the read followed the write. A late request for an earlier transaction must not end
//! a later one.

use super::{Invariant, Violation};
use crate::truth::Ours;

/// Checks one commit.
#[must_use]
pub fn check(ours: &Ours) -> Option<Violation> {
    (!ours.verified).then(|| {
        let offset = ours.after.offset;
        let detail = format!("{offset} became visible before its owner had read the group again");
        Violation::of(Invariant::Verified, ours, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{Says, settled};

    fn unverified(broken: &[String]) -> bool {
        broken.iter().any(|it| it.starts_with("Verified"))
    }

    #[test]
    fn a_half_must_not_become_visible_before_the_group_is_read_again() {
        for (peeks, expected) in [(true, false), (false, true)] {
            let (mut made, producer, fence) = settled(false);
            made.group_is_at(0, 7);
            made.looks("sprag-0");
            made.writes("sprag-0", &producer, Says { fence, as_of: 1, source: 7 }, 7);
            if peeks {
                made.peeks("sprag-0");
            }
            made.commits_transaction("sprag-0", &producer);
            assert_eq!(unverified(&made.broken()), expected, "{:?}", made.broken());
        }
    }

    #[test]
    fn a_request_sent_before_the_half_ends_it_unverified() {
        for (fenced, expected) in [(false, true), (true, false)] {
            let (mut made, producer, fence) = settled(false);
            let sent = made.now();
            made.group_is_at(0, 7);
            let (producer, fence) =
                if fenced { made.takes_over("sprag-0") } else { (producer, fence) };
            made.looks("sprag-0");
            made.writes("sprag-0", &producer, Says { fence, as_of: 1, source: 7 }, 7);
            made.peeks("sprag-0");
            let earlier = crate::wire::Producer { epoch: 0, ..producer };
            made.ends_late("sprag-0", sent, &earlier);
            assert_eq!(unverified(&made.broken()), expected, "{:?}", made.broken());
        }
    }
}
