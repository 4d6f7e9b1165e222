//! Which groups are synced (`groups.consumerGroups`, `groups.exclude`).

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use regex::Regex;

use super::ids::GroupId;

/// Selects the groups to sync. Internal groups and Sprag's own are always left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupFilter {
    selected: Selection,
    excluded: Vec<Pattern>,
    own: GroupId,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Selection {
    Pattern(Pattern),
    Names(BTreeSet<GroupId>),
}

/// A regular expression that must match the whole name.
#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    regex: Regex,
}

/// Why a group is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Excluded {
    /// `groups.consumerGroups` does not name it.
    NotSelected,
    /// `groups.exclude` names it.
    Excluded,
    /// An internal group of Kafka or of a tool: its name starts with `__`.
    Internal,
    /// This pipeline's coordination group, or a group whose name starts with `sprag-`.
    Own,
}

impl GroupFilter {
    /// Selects all groups except internal ones and Sprag's own, for the pipeline of this name.
    #[must_use]
    pub fn all(pipeline: &str) -> Self {
        Self {
            selected: Selection::Names(BTreeSet::new()),
            excluded: Vec::new(),
            own: own(pipeline),
        }
        .selecting_all()
    }

    /// Selects the groups whose whole name matches `expression`.
    ///
    /// # Errors
    ///
    /// If `expression` is not a regular expression.
    pub fn matching(self, expression: &str) -> Result<Self, regex::Error> {
        Ok(Self { selected: Selection::Pattern(Pattern::new(expression)?), ..self })
    }

    /// Selects exactly these groups.
    #[must_use]
    pub fn named(self, names: impl IntoIterator<Item = GroupId>) -> Self {
        Self { selected: Selection::Names(names.into_iter().collect()), ..self }
    }

    /// Excludes the groups whose whole name matches `expression`, which may be a plain name.
    ///
    /// # Errors
    ///
    /// If `expression` is not a regular expression.
    pub fn excluding(mut self, expression: &str) -> Result<Self, regex::Error> {
        self.excluded.push(Pattern::new(expression)?);
        Ok(self)
    }

    /// Checks that the group is synced.
    ///
    /// # Errors
    ///
    /// The reason why it is not.
    pub fn admits(&self, group: &GroupId) -> Result<(), Excluded> {
        if group.as_str().starts_with("__") {
            return Err(Excluded::Internal);
        }
        if *group == self.own || group.as_str().starts_with("sprag-") {
            return Err(Excluded::Own);
        }
        if self.excluded.iter().any(|pattern| pattern.matches(group)) {
            return Err(Excluded::Excluded);
        }
        let selected = match &self.selected {
            Selection::Pattern(pattern) => pattern.matches(group),
            Selection::Names(names) => names.contains(group),
        };
        if selected { Ok(()) } else { Err(Excluded::NotSelected) }
    }

    /// The selected groups, if they are selected by exact names; `None` if an expression selects them, so
    /// that they have to be listed.
    pub(crate) fn names(&self) -> Option<impl Iterator<Item = &GroupId>> {
        match &self.selected {
            Selection::Names(names) => Some(names.iter()),
            Selection::Pattern(_) => None,
        }
    }

    fn selecting_all(self) -> Self {
        match Pattern::new(".*") {
            Ok(all) => Self { selected: Selection::Pattern(all), ..self },
            Err(_) => self,
        }
    }
}

fn own(pipeline: &str) -> GroupId {
    GroupId::from(format!("sprag.{pipeline}").as_str())
}

impl Pattern {
    fn new(text: &str) -> Result<Self, regex::Error> {
        // Compiled by itself first, so that a text that closes the group added below is rejected.
        Regex::new(text)?;
        let regex = Regex::new(&format!("^(?s:{text})$"))?;
        Ok(Self { text: text.to_owned(), regex })
    }

    fn matches(&self, group: &GroupId) -> bool {
        self.regex.is_match(group.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Hash for Pattern {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn admits(filter: &GroupFilter, group: &str) -> Result<(), Excluded> {
        filter.admits(&GroupId::from(group))
    }

    #[test]
    fn an_expression_matches_the_whole_name() {
        let filter = GroupFilter::all("dr").matching("orders-.*|x").unwrap();
        assert_eq!(admits(&filter, "orders-1"), Ok(()));
        assert_eq!(admits(&filter, "x"), Ok(()));
        assert_eq!(admits(&filter, "my-orders-1"), Err(Excluded::NotSelected));
        assert_eq!(admits(&filter, "xy"), Err(Excluded::NotSelected));
    }

    #[test]
    fn names_match_exactly_and_exclusions_win() {
        let names = ["a.b", "c"].map(GroupId::from);
        let filter = GroupFilter::all("dr").named(names).excluding("c").unwrap();
        assert_eq!(admits(&filter, "a.b"), Ok(()));
        assert_eq!(admits(&filter, "axb"), Err(Excluded::NotSelected));
        assert_eq!(admits(&filter, "c"), Err(Excluded::Excluded));
    }

    #[test]
    fn internal_groups_and_our_own_are_never_synced() {
        let filter = GroupFilter::all("dr");
        assert_eq!(admits(&filter, "__x"), Err(Excluded::Internal));
        assert_eq!(admits(&filter, "sprag.dr"), Err(Excluded::Own));
        assert_eq!(admits(&filter, "sprag-admin"), Err(Excluded::Own));
        assert_eq!(admits(&filter, "sprag.other"), Ok(()));
    }

    #[test]
    fn a_broken_expression_is_an_error() {
        assert!(GroupFilter::all("dr").matching("(").is_err());
        assert!(GroupFilter::all("dr").matching("a)|(?:b").is_err());
    }
}
