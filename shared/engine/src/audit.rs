//! Who asked for what, on what, from where, and what came of it. Entries are added, and never changed.

use crate::catalog::{Collection, Record, RecordId};
use crate::clock::Timestamp;
use crate::id::AuditId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A person, as the token said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// The id of the person.
    pub id: String,
    /// The address, if the token had one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub email: Option<String>,
    /// What the person may do.
    pub roles: Vec<String>,
}

/// One entry. A request that changes anything has two: one before it is done, without a status, and one with what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its id.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What was asked for, such as `restore.request`.
    pub action: String,
    /// On what: the id of a backup, a restore or a cleanup.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub on: Option<String>,
    /// What was asked for, in a few words, such as `into production`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub detail: Option<String>,
    /// The network address that it came from.
    pub from: String,
    /// The request's id, which the two entries of one share, and which stands in the logs.
    pub request_id: String,
    /// The HTTP status of the answer; none while it is not answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub status: Option<u16>,
    /// What was wrong, if anything was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schema(nullable = false)]
    pub problem: Option<String>,
}

impl Record for AuditEntry {
    const COLLECTION: Collection = Collection::Audits;
    type Id = AuditId;

    fn id(&self) -> AuditId {
        self.id
    }
}

impl RecordId for AuditId {
    type Record = AuditEntry;
}
