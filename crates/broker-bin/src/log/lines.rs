//! Log lines for programs: an object of JSON each, with names of their own or with those of pino, which mosca
//! used and whose tools (`pino-pretty`) read them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime as Rfc3339};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Whose names the lines have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// `time` in RFC 3339, `level` in words, `message`.
    Json,
    /// `time` in ms since 1970, `level` as a number, `msg`, `pid`, `hostname` and `name`.
    Pino { hostname: String },
}

impl Lines {
    /// With pino's names, from this machine.
    pub(super) fn pino() -> Self {
        let uname = rustix::system::uname();
        let hostname = uname.nodename().to_string_lossy().into_owned();
        Self::Pino { hostname }
    }

    fn head(&self, level: Level) -> Map<String, Value> {
        let head = match self {
            Self::Json => {
                let mut time = String::new();
                // The only error is that of the string, which has none.
                let _written = Rfc3339.format_time(&mut Writer::new(&mut time));
                json!({ "time": time, "level": level.as_str().to_ascii_lowercase() })
            }
            Self::Pino { hostname } => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                let ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
                json!({
                    "level": number(level), "time": ms, "pid": std::process::id(),
                    "hostname": hostname, "name": "mosca",
                })
            }
        };
        match head {
            Value::Object(head) => head,
            _ => Map::new(),
        }
    }

    fn name_of_message(&self) -> &'static str {
        match self {
            Self::Json => "message",
            Self::Pino { .. } => "msg",
        }
    }
}

fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 50,
        Level::WARN => 40,
        Level::INFO => 30,
        Level::DEBUG => 20,
        Level::TRACE => 10,
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields {
            object: self.head(*event.metadata().level()),
            message: self.name_of_message(),
        };
        event.record(&mut fields);
        writeln!(writer, "{}", Value::Object(fields.object))
    }
}

/// The fields of an event on their way into an object.
struct Fields {
    object: Map<String, Value>,
    message: &'static str,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let name = match field.name() {
            "message" => self.message,
            other => other,
        };
        self.object.insert(name.to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let shown = format!("{value:?}");
        self.put(field, unquoted(&shown).into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
}

/// A name from outside without the quotes that it has in a line for people; JSON has its own. What is escaped within
/// them stays so: whoever prints the object should not be made to clear the screen.
fn unquoted(shown: &str) -> &str {
    let inside = shown.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    let Some(inside) = inside else { return shown };
    let mut is_escaped = false;
    for character in inside.chars() {
        is_escaped = match character {
            '"' if !is_escaped => return shown,
            '\\' => !is_escaped,
            _ => false,
        };
    }
    if is_escaped { shown } else { inside }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written of one event.
    fn line(lines: Lines) -> Value {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(lines)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(
                client = "a\n\"b\"",
                left = 3_u64,
                away = true,
                "it is {}",
                "late"
            );
        });
        let bytes = written.0.lock().unwrap().clone();
        assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 1);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn a_line_is_an_object_with_all_fields() {
        let line = line(Lines::Json);
        assert_eq!(line["level"], "warn");
        assert_eq!(line["message"], "it is late");
        assert_eq!(line["client"], "a\n\"b\"");
        assert_eq!((&line["left"], &line["away"]), (&json!(3), &json!(true)));
        assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
    }

    #[test]
    fn a_name_loses_its_quotes_and_what_only_looks_like_one_does_not() {
        for (shown, expected) in [
            (r#""eve""#, "eve"),
            (r#""""#, ""),
            (r#""a \"b\" \n \\""#, r#"a \"b\" \n \\"#),
            (r#""a" is not "b""#, r#""a" is not "b""#),
            (r#""long"…"#, r#""long"…"#),
            (r#""a\""#, r#""a\""#),
            (r#"""#, r#"""#),
            ("plain", "plain"),
        ] {
            assert_eq!(unquoted(shown), expected, "{shown}");
        }
    }

    #[test]
    fn pino_has_its_own_names_and_numbers() {
        let line = line(Lines::pino());
        assert_eq!(
            (&line["level"], &line["msg"]),
            (&json!(40), &json!("it is late"))
        );
        assert_eq!(line["name"], "mosca");
        assert_eq!(line["pid"], std::process::id());
        assert!(line["time"].as_u64().unwrap() > 1_700_000_000_000, "{line}");
        assert!(line["hostname"].is_string());
        assert!(line.get("message").is_none());
    }
}
