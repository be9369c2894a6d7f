//! Pages: what a list is asked for by, and where the next page begins.
//!
//! A cursor is opaque to whoever holds it. Always holds: the pages that follow each other's cursors show each record once, in order,
//! whatever is added meanwhile.

use crate::problem::Problem;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use engine::catalog::{self, Catalog, Record};
use engine::error::Error;
use serde::Deserialize;
use std::str::FromStr;
use utoipa::IntoParams;

/// Records a page, unless the request says otherwise,
const PAGE: usize = 20;
/// and at most.
const LIMIT_MAX: usize = 100;
const CURSOR_CHARS_MAX: usize = 200;
/// Where records are chosen by what they are, so many are looked at for a page: it may have fewer than were asked for, and none.
const LOOKED_AT: usize = 200;

/// How a list is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// At most so many.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
    /// The `nextCursor` of the page before.
    #[param(max_length = 200)]
    cursor: Option<String>,
}

/// A page of records, newest first.
pub(crate) struct Page<R> {
    pub(crate) records: Vec<R>,
    pub(crate) next_cursor: Option<String>,
}

impl Paging {
    pub(crate) fn new(limit: Option<usize>, cursor: Option<String>) -> Self {
        Self { limit, cursor }
    }

    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(PAGE) {
            limit @ 1..=LIMIT_MAX => Ok(limit),
            _ => Err(Problem::bad_request(format!("`limit` must be 1 to {LIMIT_MAX}"))),
        }
    }

    /// Whether this is the first page.
    pub(crate) fn is_first(&self) -> bool {
        self.cursor.is_none()
    }

    /// The page of a collection.
    pub(crate) async fn of<R: Record>(&self, catalog: &dyn Catalog) -> Result<Page<R>, Problem>
    where
        R::Id: FromStr<Err = Error>,
    {
        let limit = self.limit()?;
        let page = catalog::list::<R>(catalog, self.before::<R>()?, limit).await?;
        Ok(Page { records: page.records, next_cursor: page.next.map(cursor::<R>) })
    }

    /// The first page of what was read for more than that.
    pub(crate) fn first_of<R: Record>(&self, read: catalog::Page<R>) -> Result<Page<R>, Problem> {
        let (limit, mut records, mut next) = (self.limit()?, read.records, read.next);
        if records.len() > limit {
            records.truncate(limit);
            next = records.last().map(R::id);
        }
        Ok(Page { records, next_cursor: next.map(cursor::<R>) })
    }

    /// The page of what is chosen of a collection. One query: where few are chosen the page is short, and has a cursor to go on by.
    pub(crate) async fn chosen<R: Record>(
        &self,
        catalog: &dyn Catalog,
        choose: impl Fn(&R) -> bool,
    ) -> Result<Page<R>, Problem>
    where
        R::Id: FromStr<Err = Error>,
    {
        let limit = self.limit()?;
        let page = catalog::list::<R>(catalog, self.before::<R>()?, LOOKED_AT).await?;
        let mut next = page.next;
        let mut records = Vec::new();
        for record in page.records {
            if records.len() == limit {
                next = records.last().map(R::id);
                break;
            }
            if choose(&record) {
                records.push(record);
            }
        }
        Ok(Page { records, next_cursor: next.map(cursor::<R>) })
    }

    fn before<R: Record>(&self) -> Result<Option<R::Id>, Problem>
    where
        R::Id: FromStr<Err = Error>,
    {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        if cursor.len() > CURSOR_CHARS_MAX {
            return Err(Problem::bad_request(format!("`cursor` may have {CURSOR_CHARS_MAX} characters")));
        }
        let wrong = || {
            let detail = "`cursor` is not one that this list gave; leave it out for the first page";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
        };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        let text = String::from_utf8(bytes).map_err(|_| wrong())?;
        let id = text.strip_prefix(R::COLLECTION.as_str()).and_then(|rest| rest.strip_prefix(':')).ok_or_else(wrong)?;
        id.parse().map(Some).map_err(|_| wrong())
    }
}

fn cursor<R: Record>(id: R::Id) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}:{id}", R::COLLECTION))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::audit::{Actor, AuditEntry};
    use engine::clock::Timestamp;
    use engine::id::AuditId;
    use proptest::prelude::*;
    use testkit::{FaultScript, MemoryCatalog};

    fn entry(n: u32) -> AuditEntry {
        AuditEntry {
            id: format!("019ab3c4-5d6e-7f80-9a1b-2c3d{n:08x}").parse().expect("an id"),
            at: Timestamp::from_millis(0),
            actor: Actor { id: String::new(), email: None, roles: Vec::new() },
            action: n.to_string(),
            on: None,
            detail: None,
            from: String::new(),
            request_id: String::new(),
            status: None,
            problem: None,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is there, is chosen, and is added while the pages are read.
        #[test]
        fn pages_show_each_record_once_in_order(
            count in 0u32..500,
            every in 1u32..250,
            limit in 1usize..=100,
            added in 0u32..3,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(async {
                let catalog = MemoryCatalog::new(FaultScript::new());
                for n in 0..count {
                    catalog::insert(&catalog, &entry(n)).await.expect("inserts");
                }
                let is_chosen = |entry: &AuditEntry| entry.action.parse::<u32>().is_ok_and(|n| n % every == 0);
                let (mut seen, mut cursor, mut newest) = (Vec::new(), None, count);
                for pages in 0.. {
                    assert!(pages <= count + 3, "it ends");
                    let paging = Paging::new(Some(limit), cursor.take());
                    let page = paging.chosen(&catalog, is_chosen).await.unwrap_or_else(|p| panic!("{}", p.detail));
                    assert!(page.records.len() <= limit);
                    seen.extend(page.records.iter().map(|e| e.id));
                    for _ in 0..added {
                        catalog::insert(&catalog, &entry(newest)).await.expect("inserts");
                        newest += 1;
                    }
                    cursor = page.next_cursor;
                    if cursor.is_none() {
                        break;
                    }
                }
                let wanted: Vec<AuditId> = (0..count).rev().filter(|n| n % every == 0).map(|n| entry(n).id).collect();
                assert_eq!(seen, wanted);
            });
        }

        #[test]
        fn what_is_no_cursor_of_this_list_is_refused(text in "\\PC{0,60}") {
            let refused = Paging::new(None, Some(text)).before::<AuditEntry>();
            prop_assert!(refused.is_err_and(|problem| problem.status == 422));
        }
    }

    #[test]
    fn a_cursor_of_another_list_is_refused() {
        let id = entry(1).id;
        let own = Paging::new(None, Some(cursor::<AuditEntry>(id)));
        assert_eq!(own.before::<AuditEntry>().ok().flatten(), Some(id));
        assert!(own.before::<engine::catalog::SnapshotRecord>().is_err());
        assert!(Paging::new(Some(0), None).limit().is_err() && Paging::new(Some(101), None).limit().is_err());
    }
}
