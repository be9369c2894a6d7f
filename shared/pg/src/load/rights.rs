//! Who makes what came with the backup, and whose it is in the end.
//!
//! A superuser's session never runs an expression, a function or a default of the backup: a role of its own does, the builder,
//! which may do nothing but make objects in this one database. Whoever could write to the source could otherwise have code run
//! with all rights of whoever restores. A role that is no superuser is its own builder.

use super::plan::Ownership;
use crate::address::Address;
use crate::capture::literal;
use crate::describe::some_of;
use crate::wire::{Wire, parsed, text};
use engine::catalog::Warning;
use engine::error::{Error, ErrorKind, Result, ResultExt};
use engine::source::quote_identifier;
use std::collections::HashSet;

/// So many statements are sent at once, as long as none is refused.
const STATEMENTS_AT_ONCE: usize = 100;
/// The first server on which event triggers can be switched off.
const EVENT_TRIGGERS_OFF_MIN: u32 = 170_000;

/// The role that makes the objects.
pub(super) struct Builder {
    /// How it is reached.
    pub(super) address: Address,
    /// Its name, if it is a role of its own.
    pub(super) role: Option<String>,
}

/// Makes the builder, or lets an interrupted restore's in again.
pub(super) async fn builder(restorer: &mut Wire, address: &Address, tablespaces: &HashSet<String>) -> Result<Builder> {
    let rows = restorer
        .query(
            "select r.rolsuper, d.oid, current_setting('server_version_num'),
                replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '')
            from pg_roles as r, pg_database as d where r.rolname = current_user and d.datname = current_database()",
        )
        .await
        .context("look at the role that restores")?;
    let row = rows.first().ok_or_else(|| Error::internal("the target did not tell who restores"))?;
    if text(row, 0)? != "t" {
        return Ok(Builder { address: address.clone(), role: None });
    }
    if parsed::<u32>(row, 2)? >= EVENT_TRIGGERS_OFF_MIN {
        restorer.query("set event_triggers = off").await?;
    }
    let (role, password) = (format!("backup_restore_{}", text(row, 1)?), text(row, 3)?.to_owned());
    let name = quote_identifier(&role);
    // The server's log may show statements: it never shows the password.
    let verifier = postgres_protocol::password::scram_sha_256(password.as_bytes());
    let spaces: String = tablespaces
        .iter()
        .map(|space| format!("grant create on tablespace {} to {name};\n", quote_identifier(space)))
        .collect();
    let statements = format!(
        "do $$ begin
            if not exists (select from pg_roles where rolname = {role_literal}) then create role {name}; end if;
        end $$;
        alter role {name} with login nosuperuser nocreatedb nocreaterole nobypassrls noreplication password {verifier};
        do $$ begin
            execute format('alter role {name} valid until %L', now() + interval '1 day');
            execute format('grant connect, create, temporary on database %I to {name}', current_database());
        end $$;
        {spaces}
        grant usage, create on schema public to {name};
        grant usage on schema backup_restore to {name};
        grant select, insert on all tables in schema backup_restore to {name}",
        role_literal = literal(&role),
        verifier = literal(&verifier),
    );
    restorer.query(&statements).await.context("make the role that builds what came with the backup")?;
    let address = Address { user: role.clone(), password: Some(password), ..address.clone() };
    Ok(Builder { address, role: Some(role) })
}

/// Lets the builder fill the tables that extensions marked as their owner's.
pub(super) async fn open_extension_tables(restorer: &mut Wire, builder: &Builder) -> Result<()> {
    let Some(role) = &builder.role else { return Ok(()) };
    let rows = restorer
        .query("select c.oid::regclass from pg_class as c, pg_extension as x where c.oid = any (x.extconfig) and c.relkind = 'r'")
        .await?;
    for row in rows {
        restorer.query(&format!("grant select, insert on {} to {}", text(&row, 0)?, quote_identifier(role))).await?;
    }
    Ok(())
}

/// Gives everything its owner. What the role that restores may not give away, or to nobody, stays its own.
pub(super) async fn give(restorer: &mut Wire, owners: &[Ownership]) -> Result<Vec<Warning>> {
    let statement = |o: &Ownership| format!("alter {} owner to {};\n", o.object, quote_identifier(&o.owner));
    let mut kept = Vec::new();
    for some in owners.chunks(STATEMENTS_AT_ONCE) {
        let all: String = some.iter().map(statement).collect();
        if restorer.attempt(&all).await.is_ok() {
            continue;
        }
        // One of them is refused, and with it all that were sent with it.
        for one in some {
            match restorer.attempt(&statement(one)).await {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::Unavailable => return Err(e.context("give everything its owner")),
                Err(e) => kept.push((one, e)),
            }
        }
    }
    let Some((_, first)) = kept.first() else { return Ok(Vec::new()) };
    let titles: Vec<String> = kept.iter().map(|(o, _)| format!("{} of {}", o.title, o.owner)).collect();
    Ok(vec![Warning {
        code: "owner".to_owned(),
        message: format!("{} belong to the role that restores: {first}", some_of(&titles)),
    }])
}

/// Removes the builder. What nobody else could be given to goes to the role that restores.
pub(super) async fn dismiss(restorer: &mut Wire, builder: &Builder) -> Result<()> {
    let Some(role) = &builder.role else { return Ok(()) };
    let name = quote_identifier(role);
    let statements = format!("reassign owned by {name} to current_user; drop owned by {name}; drop role {name}");
    restorer.query(&statements).await.context("remove the role that built what came with the backup").map(|_| ())
}
