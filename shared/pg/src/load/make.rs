//! Makes the objects of an archive, one transaction each, in which it is also noted that the object is there: an interrupted
//! restore that is begun again makes each of them once.

use super::plan::{Maker, maker};
use crate::archive::Entry;
use crate::session::Pool;
use crate::wire::{Wire, parsed};
use engine::catalog::Warning;
use engine::error::{Error, ErrorKind, Result, ResultExt};
use engine::source::quote_identifier;
use futures::future::try_join_all;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as AsyncMutex, Notify};

/// How a restore's sessions are seen in `pg_stat_activity`.
pub(super) const RESTORING: &str = "backup restore";
/// What our sessions say before they make anything, beside [`crate::session::PINNED`]; as `pg_restore` does.
pub(super) const MAKING: &str = "
    set application_name = 'backup restore';
    set check_function_bodies = off;
    set default_tablespace = '';
    set default_table_access_method = 'heap';
    set synchronous_commit = off";
/// What an object's own settings are set back to.
const UNSET: &str = "set local default_tablespace = ''; set local default_table_access_method = 'heap'";
/// So many are made at once, as long as none is refused.
const STATEMENTS_AT_ONCE: usize = 100;
/// Two that make objects of related tables may each wait for the other; the server then ends one, which tries again.
const TRIES: u32 = 10;
const TRY_PAUSE: Duration = Duration::from_millis(50);

/// Who makes, and what was made.
pub(super) struct Making<'a> {
    /// Where.
    pub(super) sessions: Sessions<'a>,
    /// The backup's tablespaces, as far as the target has them.
    pub(super) tablespaces: &'a HashSet<String>,
    /// The entries that are there.
    pub(super) done: &'a Mutex<HashSet<u32>>,
    /// Those that are left out, and why.
    pub(super) left: &'a Mutex<BTreeMap<u32, String>>,
    /// Foreign keys that the rows may not fulfil.
    pub(super) doubtful: &'a HashSet<u32>,
    /// Those that were made for new rows only, and why.
    pub(super) unchecked: &'a Mutex<BTreeMap<u32, String>>,
}

/// The sessions in which objects are made.
pub(super) enum Sessions<'a> {
    /// Several. Each object is a transaction of its own, in which it is noted.
    Many {
        /// The session of the role that restores.
        restorer: &'a AsyncMutex<Wire>,
        /// The builder's sessions.
        builders: &'a Arc<Pool>,
        /// Whether the builder is a role of its own.
        separate: bool,
    },
    /// The only one of a pool, in which one transaction is open that all objects are a part of.
    One(&'a Arc<Pool>),
}

/// The entries that an interrupted restore made.
pub(super) async fn made(restorer: &mut Wire) -> Result<HashSet<u32>> {
    let rows = restorer.query("select id from backup_restore.entry").await.context("read what is made already")?;
    rows.iter().map(|row| parsed(row, 0)).collect()
}

impl Making<'_> {
    /// One after the other.
    pub(super) async fn in_order(&self, entries: &[Entry]) -> Result<()> {
        for entry in entries {
            self.make(entry, false).await?;
        }
        Ok(())
    }

    /// In several sessions, each once all that it depends on is there.
    pub(super) async fn in_sessions(&self, entries: &[Entry], sessions: usize) -> Result<()> {
        let queue = Queue::new(entries);
        let work = async || {
            while let Some(entry) = queue.next().await {
                let made = self.make(entry, false).await;
                queue.ended(entry);
                made?;
            }
            Ok(())
        };
        try_join_all((0..sessions.max(1)).map(|_| work())).await.map(|_: Vec<()>| ())
    }

    /// As far as the role that restores may; what is refused is left out.
    pub(super) async fn as_far_as_may_be(&self, entries: &[Entry]) -> Result<()> {
        for some in entries.chunks(STATEMENTS_AT_ONCE) {
            if self.all_at_once(some).await? {
                continue;
            }
            for entry in some {
                match self.make(entry, true).await {
                    Ok(()) => {}
                    Err(e) if e.kind() == ErrorKind::Unavailable => return Err(e),
                    Err(e) => self.leave_out(entry, e.to_string()),
                }
            }
        }
        Ok(())
    }

    /// In one transaction each refusal that is survived costs a part of it: so many are tried as one part first. Thousands of parts
    /// would slow down all other sessions of the server.
    async fn all_at_once(&self, entries: &[Entry]) -> Result<bool> {
        let Sessions::One(pool) = self.sessions else { return Ok(false) };
        if entries.iter().any(|e| self.is_left_out(&e.depends_on).is_some()) {
            return Ok(false);
        }
        let scripts: String = entries.iter().map(|e| self.script(e)).collect();
        let made = pool.lend().await?.wire()?.attempt(&scripts).await.is_ok();
        if made {
            self.done.lock().unwrap_or_else(PoisonError::into_inner).extend(entries.iter().map(|e| e.id));
        }
        Ok(made)
    }

    /// Whether an entry is there.
    pub(super) fn is_made(&self, entry: &Entry) -> bool {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).contains(&entry.id)
    }

    /// `survives`: whether a transaction that holds more than this object goes on when it is refused.
    async fn make(&self, entry: &Entry, survives: bool) -> Result<()> {
        if self.is_made(entry) {
            return Ok(());
        }
        if let Some(needed) = self.is_left_out(&entry.depends_on) {
            self.leave_out(entry, format!("{} needs something that was left out: {needed}", entry.title()));
            return Ok(());
        }
        let script = self.script(entry);
        let by = maker(&entry.kind);
        let mut made = match self.sessions {
            Sessions::One(pool) => {
                let mut lent = pool.lend().await?;
                let wire = lent.wire()?;
                match survives || may_be_left_out(&entry.kind) || self.doubtful.contains(&entry.id) {
                    true => wire.attempt(&script).await.map(|_| ()),
                    false => wire.query(&script).await.map(|_| ()),
                }
            }
            Sessions::Many { restorer, builders, separate } => {
                let made = match by {
                    Maker::Restorer => run(&mut *restorer.lock().await, &script).await,
                    Maker::Builder | Maker::Either => run(builders.lend().await?.wire()?, &script).await,
                };
                // Not every refusal of what only a superuser may define calls itself one.
                match made {
                    Err(e) if by == Maker::Either && separate && e.kind() != ErrorKind::Unavailable => {
                        run(&mut *restorer.lock().await, &script).await
                    }
                    made => made,
                }
            }
        };
        if let Err(e) = &made
            && self.doubtful.contains(&entry.id)
            && e.kind() != ErrorKind::Unavailable
        {
            let why = format!("{} holds for new rows only: {e}", entry.title());
            made = self.make_unchecked(entry).await;
            if made.is_ok() {
                self.unchecked.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.id, why);
            }
        }
        let made = made.context(format!("make {}", entry.title()));
        if let Err(e) = made {
            if e.kind() != ErrorKind::Unavailable && self.doubtful.contains(&entry.id) {
                self.leave_out(entry, e.to_string());
                return Ok(());
            }
            if e.kind() == ErrorKind::Denied && may_be_left_out(&entry.kind) {
                self.leave_out(entry, e.to_string());
                return Ok(());
            }
            return Err(e);
        }
        self.done.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.id);
        Ok(())
    }

    /// A foreign key that does not look at the rows that are there.
    async fn make_unchecked(&self, entry: &Entry) -> Result<()> {
        let make = entry.make.trim_end().trim_end_matches(';');
        let entry = Entry { make: format!("{make} not valid;"), ..entry.clone() };
        let script = self.script(&entry);
        match self.sessions {
            Sessions::One(pool) => pool.lend().await?.wire()?.attempt(&script).await.map(|_| ()),
            Sessions::Many { builders, .. } => run(builders.lend().await?.wire()?, &script).await,
        }
    }

    fn leave_out(&self, entry: &Entry, why: String) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.id, why);
    }

    fn is_left_out(&self, ids: &[u32]) -> Option<String> {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        ids.iter().find_map(|id| left.get(id).cloned())
    }

    /// What an interrupted restore had left out of entries that are otherwise all made.
    pub(super) fn find_left_out(&self, entries: &[Entry]) {
        for entry in entries.iter().filter(|e| !self.is_made(e)) {
            self.leave_out(entry, format!("{} could not be made", entry.title()));
        }
    }

    /// What was left out or made for new rows only, each with the reason.
    pub(super) fn left_out(&self) -> Vec<Warning> {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let warning = |code: &str, why: &String| Warning { code: code.to_owned(), message: why.clone() };
        let unchecked = self.unchecked.lock().unwrap_or_else(PoisonError::into_inner);
        let unchecked = unchecked.values().map(|why| warning("reference", why));
        left.values().map(|why| warning("left_out", why)).chain(unchecked).collect()
    }

    fn script(&self, entry: &Entry) -> String {
        let mut settings = String::new();
        if self.tablespaces.contains(&entry.tablespace) {
            settings.push_str(&format!("set local default_tablespace = {};\n", quote_identifier(&entry.tablespace)));
        }
        let mut access_method = String::new();
        if !entry.access_method.is_empty() {
            let name = quote_identifier(&entry.access_method);
            match (entry.relation_kind, entry.drop.trim().strip_prefix("DROP ").and_then(|d| d.strip_suffix(';'))) {
                // A partitioned table has no rows to store; its access method is that of partitions to come.
                (Some('p'), Some(table)) => access_method = format!("alter {table} set access method {name};\n"),
                _ => settings.push_str(&format!("set local default_table_access_method = {name};\n")),
            }
        }
        let (make, id) = (&entry.make, entry.id);
        match self.sessions {
            Sessions::Many { .. } => format!(
                "begin;\n{settings}{make}\n;{access_method}insert into backup_restore.entry (id) values ({id}); commit"
            ),
            Sessions::One(_) if settings.is_empty() => format!("{make}\n;{access_method}"),
            // The transaction goes on, and with it what was set in it.
            Sessions::One(_) => format!("{settings}{make}\n;{access_method}{UNSET};\n"),
        }
    }
}

/// What no row needs, and not every role may make.
fn may_be_left_out(kind: &str) -> bool {
    matches!(kind, "FOREIGN DATA WRAPPER" | "SERVER" | "USER MAPPING" | "FOREIGN TABLE")
}

async fn run(wire: &mut Wire, script: &str) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        let Err(e) = wire.query(script).await else { return Ok(()) };
        if !wire.in_step {
            return Err(e);
        }
        wire.query("rollback").await?;
        if e.kind() != ErrorKind::Unavailable || tries == TRIES {
            return Err(e);
        }
        tokio::time::sleep(TRY_PAUSE * tries).await;
    }
}

/// Entries that wait for what they depend on, and for the tables that they change.
struct Queue<'a> {
    /// The tables of each entry, which nobody else may change meanwhile.
    tables: HashMap<u32, HashSet<u32>>,
    state: Mutex<QueueState<'a>>,
    moved: Notify,
}

struct QueueState<'a> {
    waiting: Vec<&'a Entry>,
    /// What is not there yet: waiting or being made.
    missing: HashSet<u32>,
    /// Tables that are changed at the moment, and by how many: several indexes of one table may be made at once.
    busy: HashMap<u32, (usize, bool)>,
    running: usize,
}

/// Builds beside others on the same table.
fn shares_tables(entry: &Entry) -> bool {
    entry.kind == "INDEX"
}

impl<'a> Queue<'a> {
    fn new(entries: &'a [Entry]) -> Self {
        let by_id: HashMap<u32, &Entry> = entries.iter().map(|e| (e.id, e)).collect();
        // Whatever it names: a table, a key of a table, a function. Those that are no tables do no harm.
        let tables = |entry: &Entry| -> HashSet<u32> {
            let direct = entry.depends_on.iter().copied();
            let through =
                entry.depends_on.iter().filter_map(|id| by_id.get(id)).flat_map(|e| e.depends_on.iter().copied());
            direct.chain(through).collect()
        };
        Self {
            tables: entries.iter().map(|e| (e.id, tables(e))).collect(),
            state: Mutex::new(QueueState {
                waiting: entries.iter().collect(),
                missing: entries.iter().map(|e| e.id).collect(),
                busy: HashMap::new(),
                running: 0,
            }),
            moved: Notify::new(),
        }
    }

    /// The next that may be made; `None` when there is none left.
    async fn next(&self) -> Option<&'a Entry> {
        loop {
            // Asked for before looking, so that nothing that moves meanwhile is missed.
            let moved = self.moved.notified();
            {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.waiting.is_empty() {
                    return None;
                }
                let free = |e: &&Entry| {
                    let tables = &self.tables[&e.id];
                    e.depends_on.iter().all(|d| !state.missing.contains(d))
                        && tables
                            .iter()
                            .all(|t| state.busy.get(t).is_none_or(|(_, shared)| *shared && shares_tables(e)))
                };
                let place = match state.waiting.iter().position(free) {
                    // Whatever circle there is, the archive's order is right.
                    None if state.running == 0 => Some(0),
                    place => place,
                };
                if let Some(place) = place {
                    let entry = state.waiting.remove(place);
                    for table in &self.tables[&entry.id] {
                        state.busy.entry(*table).or_insert((0, shares_tables(entry))).0 += 1;
                    }
                    state.running += 1;
                    return Some(entry);
                }
            }
            moved.await;
        }
    }

    fn ended(&self, entry: &Entry) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for table in &self.tables[&entry.id] {
            if let Some((count, _)) = state.busy.get_mut(table) {
                *count -= 1;
                if *count == 0 {
                    state.busy.remove(table);
                }
            }
        }
        state.missing.remove(&entry.id);
        state.running -= 1;
        drop(state);
        self.moved.notify_waiters();
    }
}

/// Requires that nothing of an archive is missing in another.
pub(super) fn require_all<'a>(wanted: impl Iterator<Item = &'a Entry>, made: &[Entry]) -> Result<()> {
    let made: HashSet<String> = made.iter().map(Entry::title).collect();
    let missing: Vec<String> = wanted.map(Entry::title).filter(|title| !made.contains(title)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the target lacks {} of the backup's objects: {}",
        missing.len(),
        crate::describe::some_of(&missing)
    )))
}
