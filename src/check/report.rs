//! What a check found, for people and machines.

use serde::Serialize;

use sprag_core::failure::Failure;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was tried.
    pub what: String,
    /// How it came out.
    pub state: State,
    /// What was found.
    pub found: String,
    /// The command or ACL that grants it; empty where nothing is missing.
    pub remedy: String,
}

/// How it came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, but somebody should look at it.
    Warning,
    /// The daemon cannot do its work without it.
    Missing,
    /// It could not be tried, because something before it is missing.
    Skipped,
}

/// Everything that was tried, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One line each.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether the daemon can do its work.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.findings.iter().all(|finding| match finding.state {
            State::Ok | State::Warning => true,
            State::Missing | State::Skipped => false,
        })
    }

    /// One line per finding, with the remedy below what is missing.
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

/// The command that grants `operation` on a resource. The principal is the user's to fill in: a
/// client does not know how the broker calls it.
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
    fn what_is_missing_stands_with_its_remedy() {
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
