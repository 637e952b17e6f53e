//! The result of a run: figures under their names, one flat object or a small table.
//!
//! Names end in their unit. A check that failed is a sentence among the errors.

use std::fmt::Write;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

/// Figures in the order in which they were found.
#[derive(Debug, Default)]
pub struct Figures {
    entries: Vec<(String, Value)>,
    errors: Vec<String>,
}

impl Figures {
    /// The first figure is which scenario this was.
    pub fn of(scenario: &str) -> Self {
        let mut figures = Self::default();
        figures.set("scenario", scenario);
        figures
    }

    /// Adds a number that counts something, a name, or yes or no.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.entries.push((name.to_owned(), value.into()));
    }

    /// Adds a measured number, rounded to four places.
    pub fn number(&mut self, name: &str, value: f64) {
        let rounded = (value * 10_000.0).round() / 10_000.0;
        // What has no value (nothing was counted to divide by) is null.
        self.entries.push((name.to_owned(), json!(rounded)));
    }

    /// A check failed.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.errors.push(reason.into());
    }

    /// Fails the run if there are any of these.
    pub fn fail_if_any(&mut self, count: u64, what: &str) {
        if count > 0 {
            self.fail(format!("{count} {what}"));
        }
    }

    /// The checks that failed.
    pub fn errors(&self) -> &[String] {
        &self.errors
    }

    /// One line of JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A line for each figure.
    pub fn to_table(&self) -> String {
        let width = self.entries.iter().map(|(name, _)| name.len()).max();
        let width = width.unwrap_or_default();
        let mut table = String::new();
        for (name, value) in &self.entries {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            // Writing to a string does not fail.
            let _ = writeln!(table, "{name:width$}  {value}");
        }
        for error in &self.errors {
            let _ = writeln!(table, "ERROR: {error}");
        }
        table
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len() + 2))?;
        for (name, value) in &self.entries {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("ok", &self.errors.is_empty())?;
        map.serialize_entry("errors", &self.errors)?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_flat_and_in_order_and_ends_with_the_errors() {
        let mut figures = Figures::of("pairs");
        figures.set("qos", 1);
        figures.number("msgs_per_s", 12.345_678);
        figures.number("nothing", f64::NAN);
        assert_eq!(
            figures.to_json(),
            r#"{"scenario":"pairs","qos":1,"msgs_per_s":12.3457,"nothing":null,"ok":true,"errors":[]}"#
        );
        figures.fail_if_any(0, "lost");
        figures.fail_if_any(3, "lost");
        assert!(
            figures
                .to_json()
                .ends_with(r#""ok":false,"errors":["3 lost"]}"#)
        );
        assert!(figures.to_table().ends_with("ERROR: 3 lost\n"));
    }
}
