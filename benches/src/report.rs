//! The rows, the table that a person reads, and the file that a program reads.

use crate::Result;
use crate::options::Place;
use serde::Serialize;
use std::fs;

/// What a figure has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Measured for comparison only.
    None,
}

impl Bound {
    fn value(self) -> Option<f64> {
        match self {
            Self::AtMost(value) | Self::AtLeast(value) => Some(value),
            Self::None => None,
        }
    }

    fn holds(self, figure: f64) -> Option<bool> {
        match self {
            Self::AtMost(value) => Some(figure <= value),
            Self::AtLeast(value) => Some(figure >= value),
            Self::None => None,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::AtMost(value) => format!("<= {value}"),
            Self::AtLeast(value) => format!(">= {value}"),
            Self::None => "-".to_owned(),
        }
    }
}

/// One figure. Of a row with a peer, the ratio is bound; of one without, our own value.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    name: String,
    ours: Option<f64>,
    peer: Option<f64>,
    ratio: Option<f64>,
    bound: Option<f64>,
    holds: Option<bool>,
    #[serde(skip)]
    bound_shown: String,
}

impl Row {
    /// Ours beside a peer's, which may be missing.
    pub(crate) fn beside(name: impl Into<String>, ours: f64, peer: Option<f64>, bound: Bound) -> Self {
        let ratio = peer.map(|peer| ours / peer);
        let holds = ratio.and_then(|ratio| bound.holds(ratio));
        Self::new(name.into(), Some(ours), peer, ratio, bound, holds)
    }

    /// Ours alone; `None` when it could not be measured.
    pub(crate) fn alone(name: impl Into<String>, ours: Option<f64>, bound: Bound) -> Self {
        let holds = ours.and_then(|ours| bound.holds(ours));
        Self::new(name.into(), ours, None, None, bound, holds)
    }

    fn new(
        name: String,
        ours: Option<f64>,
        peer: Option<f64>,
        ratio: Option<f64>,
        bound: Bound,
        holds: Option<bool>,
    ) -> Self {
        let rounded = |value: Option<f64>| value.map(|value| (value * 1000.0).round() / 1000.0);
        let (ours, peer, ratio) = (rounded(ours), rounded(peer), rounded(ratio));
        Self { name, ours, peer, ratio, bound: bound.value(), holds, bound_shown: bound.shown() }
    }
}

/// Prints the table and writes `summary.json`.
pub(crate) fn write(place: &Place, rows: &[Row], notes: &[String]) -> Result<()> {
    let number = |value: Option<f64>, none: &str| value.map_or_else(|| none.to_owned(), |value| format!("{value:.2}"));
    println!("\n{:<62} {:>9} {:>9} {:>7} {:>8}  holds", "figure", "ours", "peer", "ratio", "bound");
    for row in rows {
        let holds = match row.holds {
            Some(true) => "yes".to_owned(),
            Some(false) => missed(row),
            None => "-".to_owned(),
        };
        let (ours, peer, ratio) = (number(row.ours, "missing"), number(row.peer, "-"), number(row.ratio, "-"));
        println!("{:<62} {ours:>9} {peer:>9} {ratio:>7} {:>8}  {holds}", row.name, row.bound_shown);
    }
    notes.iter().for_each(|note| println!("note: {note}"));
    let summary = place.out.join("summary.json");
    fs::write(&summary, serde_json::to_vec_pretty(rows)?)?;
    let missed = rows.iter().filter(|row| row.holds == Some(false)).count();
    let unknown = rows.iter().filter(|row| row.bound.is_some() && row.holds.is_none()).count();
    println!("\nbench: {} rows, {missed} bounds missed, {unknown} not known; in {}", rows.len(), summary.display());
    Ok(())
}

fn missed(row: &Row) -> String {
    let figure = row.ratio.or(row.ours);
    let by = figure.zip(row.bound).map(|(figure, bound)| (figure / bound - 1.0).abs() * 100.0);
    format!("NO, missed by {:.0} %", by.unwrap_or(f64::NAN))
}
