//! The table of contents of an archive that `pg_dump` wrote in its custom format: every object of the schema, the statements
//! that make it, and what it depends on.
//!
//! Source: `WriteHead` and `WriteToc` of `src/bin/pg_dump/pg_backup_archiver.c`, versions 1.14 (PostgreSQL 14) to 1.16 (18).
//! Always holds: bytes that are no such archive are refused, whatever they are; nothing is allocated that they do not hold.

use engine::error::{Error, Result};

/// The versions of the format that are read.
const VERSIONS: std::ops::RangeInclusive<(u8, u8)> = (1, 14)..=(1, 16);
/// The archive's own format: custom.
const CUSTOM: u8 = 1;

/// When an object is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Whenever what it belongs to is there: comments, privileges.
    None,
    /// Before the rows.
    Before,
    /// Rows.
    Rows,
    /// After the rows.
    After,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the archive.
    pub id: u32,
    /// What it is, such as `TABLE` or `FK CONSTRAINT`.
    pub kind: String,
    /// Its schema; empty for what is in none.
    pub schema: String,
    /// Its name, with its arguments or its table where those belong to it.
    pub name: String,
    /// Its owner; empty for what has none.
    pub owner: String,
    /// When it is made.
    pub section: Section,
    /// The statements that make it.
    pub make: String,
    /// The statement that drops it; empty for what goes with something else.
    pub drop: String,
    /// Its tablespace; empty for the default one.
    pub tablespace: String,
    /// Its table access method; empty for the default one.
    pub access_method: String,
    /// `pg_class.relkind`, where it says more than the kind: `p` of a partitioned table, which has no rows of its own.
    pub relation_kind: Option<char>,
    /// The numbers of the objects it depends on.
    pub depends_on: Vec<u32>,
}

impl Entry {
    /// Such as `TABLE public.orders`.
    pub fn title(&self) -> String {
        let dot = if self.schema.is_empty() { "" } else { "." };
        format!("{} {}{dot}{}", self.kind, self.schema, self.name)
    }
}

/// Reads the table of contents.
///
/// # Errors
/// `Unsupported` for another version, `Corrupt` for what is no archive.
pub fn contents(archive: &[u8]) -> Result<Vec<Entry>> {
    let mut reader = Reader { rest: archive, integer_bytes: 0 };
    if reader.bytes(5)? != b"PGDMP" {
        return Err(Error::corrupt("the schema is no archive of pg_dump"));
    }
    let version = (reader.byte()?, reader.byte()?);
    let _revision = reader.byte()?;
    if !VERSIONS.contains(&version) {
        return Err(Error::unsupported(format!(
            "the schema's archive is of version {}.{}; this version of the software reads {}.{} to {}.{}",
            version.0,
            version.1,
            VERSIONS.start().0,
            VERSIONS.start().1,
            VERSIONS.end().0,
            VERSIONS.end().1
        )));
    }
    reader.integer_bytes = reader.byte()?.into();
    let offset_bytes: usize = reader.byte()?.into();
    if reader.byte()? != CUSTOM {
        return Err(Error::unsupported("the schema's archive is not in the custom format"));
    }
    // How it is compressed: only rows are, and it has none.
    if version >= (1, 15) {
        reader.byte()?;
    } else {
        reader.integer()?;
    }
    // When it was made: second to year, and daylight saving.
    for _ in 0..7 {
        reader.integer()?;
    }
    // The database, the server's version, the client's.
    for _ in 0..3 {
        reader.text()?;
    }
    let count = reader.integer()?;
    let mut entries = Vec::new();
    for _ in 0..count {
        entries.push(reader.entry(version, offset_bytes)?);
    }
    Ok(entries)
}

struct Reader<'a> {
    rest: &'a [u8],
    integer_bytes: usize,
}

fn torn() -> Error {
    Error::corrupt("the schema's archive is torn or malformed")
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or_else(torn)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.bytes(1)?[0])
    }

    /// A sign, then the magnitude with its lowest byte first.
    fn integer(&mut self) -> Result<i64> {
        let negative = self.byte()? != 0;
        let mut magnitude = 0i64;
        for (place, byte) in self.bytes(self.integer_bytes)?.iter().enumerate() {
            if place >= 4 && *byte != 0 {
                return Err(torn());
            }
            if place < 4 {
                magnitude |= i64::from(*byte) << (8 * place);
            }
        }
        Ok(if negative { -magnitude } else { magnitude })
    }

    /// `None` is not the same as an empty text.
    fn text(&mut self) -> Result<Option<String>> {
        let Ok(length) = usize::try_from(self.integer()?) else { return Ok(None) };
        let text = std::str::from_utf8(self.bytes(length)?);
        let text = text.map_err(|e| Error::unsupported("the schema is not in UTF-8").with_source(e))?;
        Ok(Some(text.to_owned()))
    }

    fn text_or_empty(&mut self) -> Result<String> {
        self.text().map(Option::unwrap_or_default)
    }

    fn number(&mut self) -> Result<u32> {
        self.integer()?.try_into().map_err(|_| torn())
    }

    fn entry(&mut self, version: (u8, u8), offset_bytes: usize) -> Result<Entry> {
        let id = self.number()?;
        let _has_rows = self.integer()?;
        let (_catalog, _oid) = (self.text()?, self.text()?);
        let (name, kind) = (self.text_or_empty()?, self.text_or_empty()?);
        let section = match self.integer()? {
            2 => Section::Before,
            3 => Section::Rows,
            4 => Section::After,
            _ => Section::None,
        };
        let (make, drop) = (self.text_or_empty()?, self.text_or_empty()?);
        let _copy = self.text()?;
        let (schema, tablespace, access_method) = (self.text_or_empty()?, self.text_or_empty()?, self.text_or_empty()?);
        let relation_kind = if version >= (1, 16) { self.integer()? } else { 0 };
        let relation_kind = u8::try_from(relation_kind).ok().filter(|k| *k > 0).map(char::from);
        let owner = self.text_or_empty()?;
        let _with_oids = self.text()?;
        let mut depends_on = Vec::new();
        while let Some(id) = self.text()? {
            depends_on.push(id.parse().map_err(|_| torn())?);
        }
        // Where its rows are, and whether they are.
        self.bytes(1 + offset_bytes)?;
        Ok(Entry {
            id,
            kind,
            schema,
            name,
            owner,
            section,
            make,
            drop,
            tablespace,
            access_method,
            relation_kind,
            depends_on,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::error::ErrorKind;

    fn integer(value: i64, into: &mut Vec<u8>) {
        into.push(u8::from(value < 0));
        into.extend((value.unsigned_abs() as u32).to_le_bytes());
    }

    fn text(value: Option<&str>, into: &mut Vec<u8>) {
        integer(value.map_or(-1, |v| v.len() as i64), into);
        into.extend(value.unwrap_or_default().bytes());
    }

    fn archive(minor: u8) -> Vec<u8> {
        let mut made = b"PGDMP\x01".to_vec();
        made.extend([minor, 0, 4, 8, CUSTOM]);
        if minor >= 15 {
            made.push(0)
        } else {
            integer(0, &mut made)
        }
        (0..7).for_each(|_| integer(3, &mut made));
        [Some("app"), Some("18.6"), Some("18.6")].into_iter().for_each(|t| text(t, &mut made));
        integer(1, &mut made);
        integer(217, &mut made);
        integer(0, &mut made);
        for field in ["1259", "16390", "orders", "TABLE"] {
            text(Some(field), &mut made);
        }
        integer(2, &mut made);
        text(Some("CREATE TABLE public.orders ();"), &mut made);
        text(Some("DROP TABLE public.orders;"), &mut made);
        text(None, &mut made);
        text(Some("public"), &mut made);
        text(None, &mut made);
        text(Some("heap"), &mut made);
        if minor >= 16 {
            integer(i64::from(b'r'), &mut made);
        }
        for field in [Some("shop"), Some("false"), Some("5"), Some("12"), None] {
            text(field, &mut made);
        }
        made.extend([2; 9]);
        made
    }

    #[test]
    fn each_version_gives_the_same_object() {
        for minor in 14..=16 {
            let entries = contents(&archive(minor)).expect("reads");
            let entry = &entries[0];
            assert_eq!((entries.len(), entry.id, entry.title().as_str()), (1, 217, "TABLE public.orders"));
            assert_eq!(
                (entry.owner.as_str(), entry.section, &entry.depends_on[..]),
                ("shop", Section::Before, &[5, 12][..])
            );
            assert_eq!((entry.access_method.as_str(), entry.tablespace.as_str()), ("heap", ""));
        }
        let error = contents(&archive(17)).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }

    #[test]
    fn an_archive_that_ends_anywhere_is_refused() {
        let whole = archive(16);
        for end in 0..whole.len() {
            assert!(contents(&whole[..end]).is_err(), "the first {end} bytes");
        }
        // Lengths that nothing stands behind.
        for place in 0..whole.len() {
            let mut wrong = whole.clone();
            wrong[place] = 0xff;
            let _ = contents(&wrong);
        }
    }
}
