//! Numbers for CloudWatch, in its embedded metric format: one line of the log each time, and no call.

use engine::clock::Timestamp;
use serde_json::{Map, Value, json};

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes.
    Bytes,
    /// Hours, and whatever else CloudWatch has no word for.
    Other,
}

impl Unit {
    fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Bytes => "Bytes",
            Self::Other => "None",
        }
    }
}

/// The line that makes these numbers metrics of a namespace, without dimensions. A number that is not known is left out: for an alarm
/// it is missing then.
pub fn line(namespace: &str, at: Timestamp, metrics: &[(&str, Unit, Option<f64>)]) -> String {
    let known = || metrics.iter().filter_map(|(name, unit, value)| value.map(|value| (*name, *unit, value)));
    let names: Vec<Value> = known().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit.as_str() })).collect();
    let mut line: Map<String, Value> = known().map(|(name, _, value)| (name.to_owned(), json!(value))).collect();
    let directive = json!({ "Namespace": namespace, "Dimensions": [[]], "Metrics": names });
    line.insert("_aws".to_owned(), json!({ "Timestamp": at.as_millis(), "CloudWatchMetrics": [directive] }));
    Value::Object(line).to_string()
}

/// Writes the line to where Lambda takes the log from.
#[allow(clippy::print_stdout, reason = "CloudWatch reads this line, and not as text for people")]
pub fn emit(line: &str) {
    println!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_as_cloudwatch_wants_it() {
        let at = Timestamp::from_millis(1_795_316_400_000);
        let metrics =
            [("Age", Unit::Other, Some(1.5)), ("Gone", Unit::Count, None), ("Stored", Unit::Bytes, Some(7.0))];
        let line: Value = serde_json::from_str(&line("gasrapido", at, &metrics)).expect("JSON");
        assert_eq!(
            line,
            json!({
                "_aws": {
                    "Timestamp": 1_795_316_400_000_i64,
                    "CloudWatchMetrics": [{
                        "Namespace": "gasrapido",
                        "Dimensions": [[]],
                        "Metrics": [{"Name": "Age", "Unit": "None"}, {"Name": "Stored", "Unit": "Bytes"}]
                    }]
                },
                "Age": 1.5,
                "Stored": 7.0
            })
        );
    }
}
