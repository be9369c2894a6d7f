//! The size of what is deployed.

use crate::Result;
use crate::options::Place;
use crate::report::{Bound, Row};
use std::fs;
use std::path::PathBuf;

const MB_MAX: f64 = 8.0;

pub(super) fn rows(place: &Place) -> Result<Vec<Row>> {
    let row = |(function, zip): (String, PathBuf)| {
        let megabytes = fs::metadata(zip)?.len() as f64 / 1e6;
        Ok(Row::alone(format!("{function}: zip, MB"), Some(megabytes), Bound::AtMost(MB_MAX)))
    };
    let rows: Vec<Row> = find(place)?.into_iter().map(row).collect::<Result<_>>()?;
    match rows.is_empty() {
        true => Ok(vec![Row::alone("zips, MB", None, Bound::AtMost(MB_MAX))]),
        false => Ok(rows),
    }
}

/// The functions' names and zips, as `make build` leaves them.
pub(super) fn find(place: &Place) -> Result<Vec<(String, PathBuf)>> {
    let folder = place.root.join("target/lambda");
    let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut zips = Vec::new();
    for entry in entries {
        let entry = entry?;
        let zip = entry.path().join("bootstrap.zip");
        if zip.exists() {
            zips.push((entry.file_name().to_string_lossy().into_owned(), zip));
        }
    }
    zips.sort();
    Ok(zips)
}
