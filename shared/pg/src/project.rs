//! What a Supabase project is, beside a database: its services' own schemas, and parts that no database session can read.

use crate::wire::{Row, Wire, parsed, text};
use engine::error::{Error, Result, ResultExt};
use engine::source::CoverageState;
use engine::storage::StoredObject;

/// Schemas that a project's services and extensions make. `supabase_migrations` is none: the owner's tool makes it, in the owner's name.
pub(crate) const MANAGED: [&str; 23] = [
    "_analytics",
    "_realtime",
    "_supavisor",
    "auth",
    "cron",
    "dbdev",
    "etl",
    "extensions",
    "graphql",
    "graphql_public",
    "net",
    "pgbouncer",
    "pgmq",
    "pgsodium",
    "pgsodium_masks",
    "pgtle",
    "realtime",
    "storage",
    "supabase_functions",
    "tiger",
    "tiger_data",
    "topology",
    "vault",
];

/// Roles that a project makes, and that no backup holds (`describe/roles.sql`).
pub(crate) const OWN_ROLES: [&str; 11] = [
    "cli_login_postgres",
    "dashboard_user",
    "pgbouncer",
    "supabase_admin",
    "supabase_auth_admin",
    "supabase_etl_admin",
    "supabase_functions_admin",
    "supabase_read_only_user",
    "supabase_realtime_admin",
    "supabase_replication_admin",
    "supabase_storage_admin",
];

/// Whether a schema is one that a project makes.
pub(crate) fn is_managed(schema: &str) -> bool {
    MANAGED.contains(&schema)
}

/// Whether the database that a session is in belongs to a Supabase project.
pub(crate) async fn is_project(wire: &mut Wire) -> Result<bool> {
    let rows = wire
        .query(
            "select exists (select from pg_roles where rolname = 'supabase_auth_admin')
                and to_regclass('auth.users') is not null and to_regclass('storage.objects') is not null",
        )
        .await
        .context("look whether this is a Supabase project")?;
    rows.first().map_or(Ok(false), |row| Ok(text(row, 0)? == "t"))
}

/// Parts of a project that nobody can read out, and what to do instead.
const NOT_EXPORTABLE: [(&str, &str); 6] = [
    (
        "auth settings",
        "providers, mail templates, SMTP and redirect URLs are not in the database: keep them in supabase/config.toml, and set them again",
    ),
    ("API keys and JWT keys", "a new project has new ones: give them to the apps; all users sign in again"),
    (
        "edge functions and their secrets",
        "keep their source in version control, deploy them again, and set their secrets again",
    ),
    (
        "database settings",
        "sizes, pooler, network restrictions and configuration of the server are the project's: set them again",
    ),
    ("log drains and integrations", "set them up again"),
    ("custom domains", "point them to the new project"),
];

/// What to know of a schema that a project's services keep.
pub(crate) fn detail(schema: &str) -> &'static str {
    match schema {
        "auth" => "users, identities and sessions; a project takes the rows into its own tables",
        "storage" => "buckets and the list of objects; a project takes the rows into its own tables",
        "vault" => "as stored: its secrets open only with the project's root key; create them again in a new project",
        "pgsodium" => "as stored: its keys open only with the project's root key",
        "net" | "realtime" | "_realtime" | "_analytics" | "_supavisor" => {
            "what its service keeps for itself; a project has its own"
        }
        _ if is_managed(schema) => "a project makes its structure itself",
        _ => "",
    }
}

/// What nobody can read out.
pub(crate) fn not_exportable() -> impl Iterator<Item = (&'static str, CoverageState, &'static str)> {
    NOT_EXPORTABLE.into_iter().map(|(part, what)| (part, CoverageState::NotExportable, what))
}

/// How many objects the database lists.
pub(crate) async fn count_objects(wire: &mut Wire) -> Result<u64> {
    let rows =
        wire.query("select count(*) from storage.objects where bucket_id is not null and name is not null").await;
    let rows = rows.context("count the objects of Storage")?;
    parsed(rows.first().ok_or_else(|| Error::internal("the server counted nothing"))?, 0)
}

/// The objects that the database lists. What not every version of the service has is read from the row as a document.
pub(crate) async fn stored_objects(wire: &mut Wire) -> Result<Vec<StoredObject>> {
    let rows = wire
        .query(
            "select o.bucket_id, o.name, o.doc ->> 'version', btrim(o.doc -> 'metadata' ->> 'eTag', '\"'),
                o.doc -> 'metadata' ->> 'size', o.doc ->> 'updated_at', o.doc -> 'metadata' ->> 'mimetype',
                o.doc -> 'metadata' ->> 'cacheControl'
            from (select bucket_id, name, to_jsonb(t) as doc from storage.objects as t) as o
            where o.bucket_id is not null and o.name is not null
            order by 1, 2",
        )
        .await
        .context("list the objects of Storage")?;
    let optional = |row: &Row, column: usize| row.get(column).cloned().flatten();
    let object = |row: &Row| {
        Ok(StoredObject {
            bucket: text(row, 0)?.to_owned(),
            name: text(row, 1)?.to_owned(),
            version: optional(row, 2),
            etag: optional(row, 3),
            bytes: optional(row, 4).and_then(|bytes| bytes.parse().ok()),
            updated_at: optional(row, 5),
            content_type: optional(row, 6),
            cache_control: optional(row, 7),
        })
    };
    rows.iter().map(object).collect()
}
