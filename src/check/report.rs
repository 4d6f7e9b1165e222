//! The report of a check, for people and machines.

use serde::Serialize;

use sprag_core::failure::Failure;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked.
    pub what: String,
    /// Whether it is in order.
    pub state: State,
    /// What was found.
    pub found: String,
    /// How to fix it, for example the command that grants a right. Empty if there is nothing to fix.
    pub remedy: String,
}

/// The state of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// In order.
    Ok,
    /// It works, but someone should look at it.
    Warning,
    /// The daemon cannot work without it.
    Missing,
    /// Not checked, because a prerequisite is missing.
    Skipped,
}

/// All findings, in the order of the checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether the daemon can work: nothing is missing or skipped.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.findings.iter().all(|finding| match finding.state {
            State::Ok | State::Warning => true,
            State::Missing | State::Skipped => false,
        })
    }

    /// One line per finding, with its remedy, if any, on the next line.
    #[must_use]
    pub fn table(&self) -> String {
        let mut lines = Vec::new();
        for Finding { what, state, found, remedy } in &self.findings {
            let mark = match state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Missing => "MISSING",
                State::Skipped => "skipped",
            };
            lines.push(format!("{mark:<8} {what}: {found}"));
            if !remedy.is_empty() {
                lines.push(format!("         -> {remedy}"));
            }
        }
        lines.join("\n")
    }

    pub(super) fn ok(&mut self, what: &str, found: impl Into<String>) {
        self.add(what, State::Ok, found.into(), String::new());
    }

    pub(super) fn warn(&mut self, what: &str, found: impl Into<String>, remedy: &str) {
        self.add(what, State::Warning, found.into(), remedy.to_owned());
    }

    pub(super) fn missing(&mut self, what: &str, failure: &Failure, remedy: &str) {
        self.add(what, State::Missing, failure.to_string(), remedy.to_owned());
    }

    pub(super) fn skipped(&mut self, what: &str, because: &str) {
        self.add(what, State::Skipped, because.to_owned(), String::new());
    }

    fn add(&mut self, what: &str, state: State, found: String, remedy: String) {
        self.findings.push(Finding { what: what.to_owned(), state, found, remedy });
    }
}

/// The command that grants `operations` on a resource. The user must fill in the principal: a client
/// does not know which principal the broker maps it to.
pub(super) fn acl(operations: &[&str], resource: &str) -> String {
    let operations: String =
        operations.iter().map(|operation| format!(" --operation {operation}")).collect();
    format!("kafka-acls --bootstrap-server … --add --allow-principal User:…{operations} {resource}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sprag_core::failure::FailureClass;

    #[test]
    fn a_finding_is_followed_by_its_remedy() {
        let mut report = Report::default();
        report.ok("source: reach a broker", "cluster abc");
        assert!(report.complete());
        report.warn("mappings", "no record yet", "start the replicator");
        assert!(report.complete());
        let failure = Failure::new(FailureClass::HoldGroup, "not authorised");
        report.missing("fence topic", &failure, &acl(&["Read", "Write"], "--topic fences"));
        report.skipped("transactions", "needs the fence topic");
        assert!(!report.complete());
        insta::assert_snapshot!(report.table(), @r"
        ok       source: reach a broker: cluster abc
        warning  mappings: no record yet
                 -> start the replicator
        MISSING  fence topic: not authorised
                 -> kafka-acls --bootstrap-server … --add --allow-principal User:… --operation Read --operation Write --topic fences
        skipped  transactions: needs the fence topic
        ");
    }
}
