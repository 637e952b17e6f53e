//! The numbered statements: what `xtask/conformance/mqtt-*.tsv` says of each.
//!
//! Tab-separated: the id; whom it binds (`server`, `client`, `both`, or `topic-rules`); how it can be
//! observed (`wire`, `internal`, or `n/a`); what must hold, in our words; and, where no test can show
//! it although it binds a server, why.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// A version that numbers its statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V311,
    V5,
}

impl Version {
    pub const ALL: [Self; 2] = [Self::V311, Self::V5];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        }
    }
}

/// A numbered statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub version: Version,
    pub id: String,
    /// Whether it binds a server, or is a rule whose breach a server notices.
    pub is_for_server: bool,
    pub summary: String,
    pub untestable_because: Option<String>,
}

impl Statement {
    /// Whether a test has to show it.
    pub fn needs_test(&self) -> bool {
        self.is_for_server && self.untestable_because.is_none()
    }
}

/// All statements, in the order of the specifications.
pub fn read(root: &Path) -> Result<Vec<Statement>> {
    let mut statements = Vec::new();
    for version in Version::ALL {
        let path = format!("xtask/conformance/mqtt-{}.tsv", version.as_str());
        let text = std::fs::read_to_string(root.join(&path))
            .with_context(|| format!("cannot read {path}"))?;
        statements.extend(parse(version, &text).context(path)?);
    }
    Ok(statements)
}

pub fn parse(version: Version, text: &str) -> Result<Vec<Statement>> {
    let mut lines = text.lines();
    ensure!(
        lines.next() == Some("id\tapplies_to\ttestable\tsummary\tuntestable_because"),
        "another head"
    );
    let mut statements: Vec<Statement> = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let [id, applies_to, testable, summary, because] = fields[..] else {
            bail!("not five fields: {line}");
        };
        ensure!(
            statements.iter().all(|statement| statement.id != id),
            "{id} is there twice"
        );
        let is_for_server = match applies_to {
            "server" | "both" | "topic-rules" => true,
            "client" => false,
            _ => bail!("{id}: `{applies_to}` is nobody"),
        };
        ensure!(
            because.is_empty() || (is_for_server && testable == "n/a"),
            "{id}: has a reason without need"
        );
        statements.push(Statement {
            version,
            id: id.to_owned(),
            is_for_server,
            summary: summary.to_owned(),
            untestable_because: (!because.is_empty()).then(|| because.to_owned()),
        });
    }
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Workspace;

    const HEAD: &str = "id\tapplies_to\ttestable\tsummary\tuntestable_because\n";

    #[test]
    fn a_statement_is_a_line() {
        let lines = "A\tserver\twire\tIt holds.\t\nB\tclient\tn/a\tIt may.\t\n\
            C\tboth\tn/a\tWho knows.\tNobody does.\n";
        let statements = parse(Version::V5, &format!("{HEAD}{lines}")).unwrap();
        let needs: Vec<bool> = statements.iter().map(Statement::needs_test).collect();
        assert_eq!(needs, [true, false, false]);
        assert_eq!(statements[0].summary, "It holds.");
        assert_eq!(
            statements[2].untestable_because.as_deref(),
            Some("Nobody does.")
        );
    }

    #[test]
    fn a_line_that_makes_no_sense_is_refused() {
        for lines in [
            "A\tserver\twire\tIt holds.\n",
            "A\tnobody\twire\tIt holds.\t\n",
            "A\tserver\twire\tIt holds.\tBecause.\n",
            "A\tserver\twire\tIt holds.\t\nA\tserver\twire\tIt holds.\t\n",
        ] {
            assert!(
                parse(Version::V5, &format!("{HEAD}{lines}")).is_err(),
                "{lines}"
            );
        }
        assert!(parse(Version::V5, "id\tsummary\n").is_err());
    }

    /// As many as the appendices of the two specifications list.
    #[test]
    fn no_statement_is_missing() {
        let statements = read(&Workspace::find().unwrap().root).unwrap();
        let count = |version, for_server: bool| {
            let of_version = statements.iter().filter(|s| s.version == version);
            of_version
                .filter(|s| !for_server || s.is_for_server)
                .count()
        };
        assert_eq!(
            (count(Version::V311, false), count(Version::V5, false)),
            (141, 251)
        );
        assert_eq!(
            (count(Version::V311, true), count(Version::V5, true)),
            (131, 240)
        );
        let untestable = statements.iter().filter(|s| s.untestable_because.is_some());
        assert_eq!(untestable.count(), 2);
    }
}
