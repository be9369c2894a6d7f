//! The catalog over one DynamoDB table, with the key `pk` (string) and `sk` (string).
//!
//! ```text
//! pk = backups   sk = <backup id>     record (the record's JSON), revision, write; status, source, started_at to filter by
//! pk = …         sk = …               the same of every other collection
//! pk = leases    sk = <name>          holder, epoch, expires_at (milliseconds since 1970)
//! ```
//! A record is one JSON text: what is read is what was written, whatever DynamoDB does to numbers, and the same text can be
//! read in the console. Backup ids grow with time, so the order of `sk` is the order in which backups were asked for.
//!
//! Always holds: every write is conditional. The SDK sends a request again when an answer is lost; `write` is a random mark
//! of the call, by which it recognises that its own first request had succeeded, instead of reporting a conflict with itself.

mod item;
mod lease;

use crate::errors::Call;
use crate::machine::SystemEntropy;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use engine::catalog::{Catalog, Collection, Document, DocumentPage, Lease, Versioned};
use engine::clock::{Entropy, Timestamp};
use engine::error::{Error, Result};
use engine::limits::PAGE_MAX;
use item::{Item, number, text};

const PUT: Call = Call::new("dynamodb", "PutItem");
const GET: Call = Call::new("dynamodb", "GetItem");
const DELETE: Call = Call::new("dynamodb", "DeleteItem");
const QUERY: Call = Call::new("dynamodb", "Query");
const AT_REVISION: &str = "#revision = :revision";

/// The catalog over DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoCatalog {
    client: Client,
    table: String,
}

impl DynamoCatalog {
    /// Over a client of the table's region.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Writes a document at a revision under a condition; `conflict` says what it means that the condition failed.
    async fn write(
        &self,
        document: &Document,
        revision: u64,
        condition: impl FnOnce(PutItemFluentBuilder) -> PutItemFluentBuilder + Send,
        conflict: impl FnOnce() -> Error + Send,
    ) -> Result<()> {
        let mark = mark()?;
        let item = item::of_document(document, revision, &mark)?;
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        let request = request.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match condition(request).send().await {
            Ok(_) => Ok(()),
            Err(e) => match found(&e) {
                Some(there) if there.get("write") == Some(&text(&mark)) => Ok(()),
                Some(_) => Err(conflict()),
                None => Err(PUT.failed(&e)),
            },
        }
    }
}

#[async_trait::async_trait]
impl Catalog for DynamoCatalog {
    async fn insert(&self, document: &Document) -> Result<()> {
        let condition = |r: PutItemFluentBuilder| {
            r.condition_expression("attribute_not_exists(#pk)").expression_attribute_names("#pk", "pk")
        };
        let Document { collection, id, .. } = document;
        let conflict = || Error::conflict(format!("the catalog has a {} {id} already", collection.noun()));
        self.write(document, 1, condition, conflict).await
    }

    async fn replace(&self, document: &Document, revision: u64) -> Result<()> {
        let condition = |r: PutItemFluentBuilder| {
            r.condition_expression(AT_REVISION)
                .expression_attribute_names("#revision", "revision")
                .expression_attribute_values(":revision", number(revision))
        };
        let conflict = || stale(document.collection, &document.id, revision);
        self.write(document, revision.saturating_add(1), condition, conflict).await
    }

    async fn remove(&self, collection: Collection, id: &str, revision: u64) -> Result<()> {
        let request = self.client.delete_item().table_name(&self.table);
        let request = request.key("pk", text(collection.as_str())).key("sk", text(id));
        // The SDK sends it again when an answer is lost: then it is gone already.
        let request = request.condition_expression(format!("attribute_not_exists(#pk) or {AT_REVISION}"));
        let request = request.expression_attribute_names("#pk", "pk");
        let request = request.expression_attribute_names("#revision", "revision");
        let request = request.expression_attribute_values(":revision", number(revision));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(e) => match e.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Err(stale(collection, id, revision)),
                _ => Err(DELETE.failed(&e)),
            },
        }
    }

    async fn get(&self, collection: Collection, id: &str) -> Result<Option<Versioned<Document>>> {
        let request = self.client.get_item().table_name(&self.table).consistent_read(true);
        let request = request.key("pk", text(collection.as_str())).key("sk", text(id));
        let output = request.send().await.map_err(|e| GET.failed(&e))?;
        output.item.as_ref().map(|item| item::to_document(collection, item)).transpose()
    }

    async fn list(&self, collection: Collection, before: Option<&str>, limit: usize) -> Result<DocumentPage> {
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Error::invalid(format!("a page of {collection} has 1 to {PAGE_MAX}, not {limit}")));
        }
        // One more than asked for tells whether there is a next page.
        let mut items = self.newest(collection, before, limit + 1).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let documents = items.iter().map(|item| item::to_document(collection, item).map(|v| v.value));
        let documents = documents.collect::<Result<Vec<_>>>()?;
        let next = documents.last().filter(|_| more).map(|d| d.id.clone());
        Ok(DocumentPage { documents, next })
    }

    async fn acquire(&self, name: &str, holder: &str, now: Timestamp, expires_at: Timestamp) -> Result<Lease> {
        lease::acquire(self, name, holder, now, expires_at).await
    }

    async fn renew(&self, lease: &Lease, expires_at: Timestamp) -> Result<Lease> {
        lease::renew(self, lease, expires_at).await
    }
}

impl DynamoCatalog {
    /// The newest `wanted` items before an id. DynamoDB ends a page at 1 MB, so it may take several requests.
    async fn newest(&self, collection: Collection, before: Option<&str>, wanted: usize) -> Result<Vec<Item>> {
        let (mut items, mut from) = (Vec::new(), None);
        loop {
            let mut request =
                self.client.query().table_name(&self.table).consistent_read(true).scan_index_forward(false);
            request =
                request.limit(i32::try_from(wanted - items.len()).unwrap_or(i32::MAX)).set_exclusive_start_key(from);
            request = request.expression_attribute_names("#pk", "pk");
            request = request.expression_attribute_values(":pk", text(collection.as_str()));
            request = match before {
                None => request.key_condition_expression("#pk = :pk"),
                Some(before) => request
                    .key_condition_expression("#pk = :pk and #sk < :before")
                    .expression_attribute_names("#sk", "sk")
                    .expression_attribute_values(":before", text(before)),
            };
            let output = request.send().await.map_err(|e| QUERY.failed(&e))?;
            items.extend(output.items.unwrap_or_default());
            from = output.last_evaluated_key.filter(|key| !key.is_empty());
            if items.len() >= wanted || from.is_none() {
                return Ok(items);
            }
        }
    }
}

fn stale(collection: Collection, id: &str, revision: u64) -> Error {
    Error::conflict(format!("{} {id} is no longer at revision {revision}", collection.noun()))
}

/// The item that made the condition of a put fail.
fn found(error: &SdkError<PutItemError>) -> Option<Item> {
    match error.as_service_error() {
        Some(PutItemError::ConditionalCheckFailedException(failed)) => Some(failed.item.clone().unwrap_or_default()),
        _ => None,
    }
}

/// A random mark of one call.
fn mark() -> Result<String> {
    let mut random = [0u8; 12];
    SystemEntropy.fill(&mut random)?;
    Ok(random.iter().map(|b| format!("{b:02x}")).collect())
}
