//! A limit on everything, in one place, with assertions that relate them.

/// The format version that this code writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

/// A pack is closed once it is this large. One `PutObject` each: large enough that requests cost next to nothing, small enough
/// that two in flight and one being filled fit in little memory.
pub const PACK_BYTES: usize = 16 * MIB;
/// The largest object that any vault may hold, and so the most that a reader allocates for one.
pub const OBJECT_BYTES_MAX: usize = 128 * MIB;
/// A pack is repacked where a snapshot needs at most one of so many parts of it. Moving a byte costs about 0.11 USD a GB once (two other regions),
/// and what goes with the old pack 0.07 USD a GB and month (all three): at one part in four that is paid in half a month.
pub const REPACK_LIVE_PARTS: u64 = 4;
/// Of the packs of one attempt at least so much is to go; less is not worth a request.
pub const REPACK_DEAD_BYTES_MIN: u64 = 4 * MIB as u64;
/// One backup moves at most so much.
pub const REPACK_BYTES_MAX: u64 = 64 * MIB as u64;
/// and reads at most so much for that.
pub const REPACK_READ_MAX: u64 = 512 * MIB as u64;
/// The numbers of packs that are made of others.
pub const REPACK_NUMBERS: std::ops::RangeInclusive<u32> = 500_000..=999_000;
/// Packs that may be on their way to the vault while the next one is filled.
pub const UPLOADS_IN_FLIGHT: usize = 2;
/// One sealed message of a segment is closed at this size, and another is begun: a row of any size needs no more memory.
pub const EXTENT_BYTES: usize = 8 * MIB;
/// Plaintext bytes in a frame of a sealed message: nothing of it is released before its tag is checked.
pub const FRAME_BYTES: u32 = 128 * 1024;
/// Blocks of a table that make a segment, unless the setting says otherwise (4 MiB of heap at 8 KiB a block).
pub const SEGMENT_BLOCKS: u32 = 512;
/// Rows arrive in chunks of at most this many bytes, however large a row is.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// The largest schema archive: it is one object, and is held in memory.
pub const SCHEMA_BYTES_MAX: usize = 96 * MIB;
/// The largest manifest or inventory, decompressed.
pub const MANIFEST_BYTES_MAX: usize = 512 * MIB;
/// zstd levels that may be set.
pub const COMPRESSION_LEVELS: std::ops::RangeInclusive<i32> = 1..=19;
/// Copy sessions that may be set: a session-mode pooler gives 15 connections.
pub const SESSIONS: std::ops::RangeInclusive<usize> = 1..=8;

/// A restore adds the segments of a table in transactions of about so many bytes of rows,
pub const BATCH_BYTES: u64 = 64 * MIB as u64;
/// or a whole table in one, up to this size: an interruption costs at most that.
pub const WHOLE_TABLE_BYTES_MAX: u64 = 1024 * MIB as u64;
/// Batches under way for each session that loads: while one is loaded the next is fetched,
pub const BATCHES_AHEAD: usize = 2;
/// and of each so many chunks are opened before they are taken.
pub const CHUNKS_AHEAD: usize = 8;

/// A database in use is replaced only if a snapshot of it is there that is no older than this when the restore is asked for.
pub const SAFETY_AGE_MAX_S: i64 = 15 * 60;
/// While that is being made, the vault is looked at this often,
pub const SAFETY_POLL_S: i64 = 2;
/// and of the newest snapshots and records so many.
pub const SAFETY_LOOKS: usize = 16;

/// A restore that waited longer than this for it leaves the rest to another invocation.
pub const SAFETY_WAIT_MAX_S: i64 = 20;
/// Of what a restore told, its record keeps so much.
pub const RESTORE_WARNINGS_KEPT: usize = 100;
/// A restore is handed over at most so often.
pub const RESTORE_HAND_OVERS_MAX: u32 = 300;
/// The order that follows a hand-over comes after so many seconds: by then it is noted.
pub const HAND_OVER_S: u32 = 5;

/// A lease not renewed for this long is anyone's.
pub const LEASE_TTL_S: i64 = 60;
/// A lease is renewed this often.
pub const LEASE_RENEW_S: i64 = 10;
/// Progress is recorded this often: a change is to be seen within a second, and to record and to read it takes a moment.
pub const PROGRESS_MS: u64 = 750;
/// An attempt stops before the deadline of its function, to store what it has: a tenth of its time before, but no longer than
/// this,
pub const DEADLINE_MARGIN_MAX_S: i64 = 30;
/// and no less than this.
pub const DEADLINE_MARGIN_MIN_S: i64 = 2;
/// What an attempt has stored is listed in a checkpoint this often.
pub const CHECKPOINT_S: i64 = 30;
/// A queue keeps an order back for at most so many seconds.
pub const QUEUE_DELAY_MAX_S: u32 = 900;
/// A backup that was asked for while another of its source is made looks again after so many seconds,
pub const TURN_S: u32 = 15;
/// and is given up when its turn does not come for this long.
pub const TURN_WAIT_MAX_S: i64 = 6 * 60 * 60;
/// What was asked for, and that no function has taken up for this long, is given up: its order was lost.
pub const ORDER_LOST_S: i64 = 30 * 60;
/// A restore whose target or safety snapshot is not there yet is tried again after so many seconds,
pub const RESTORE_RETRY_S: u32 = 30;
/// and given up when so many invocations in a row came no further.
pub const RESTORE_IDLE_MAX: u32 = 8;
/// A backup is given up when so many invocations in a row got no further than those before them.
pub const HAND_OVERS_IDLE_MAX: u32 = 3;
/// Segments believed unchanged that each backup reads all the same,
pub const SAMPLE_SEGMENTS: usize = 8;
/// up to so many bytes of rows.
pub const SAMPLE_BYTES: u64 = 32 * MIB as u64;
/// Objects that are looked at at once.
pub const LOOKS_IN_FLIGHT: usize = 16;
/// Clocks of two services may be this far apart, and a day's backup be this late, before what they say is doubted.
pub const CLOCK_SLACK_S: i64 = DAY_S;
/// What nothing references any more is deleted after this long, if it is so still: longer than any attempt or restore runs.
pub const PRUNE_GRACE_S: i64 = DAY_S;
/// A snapshot that a restore reads does not expire for this long.
pub const HOLD_S: i64 = DAY_S;
/// A run that a person asked for is given up when it has not ended after so long: its order is delivered three times, 16 minutes apart.
pub const PRUNE_LOST_S: i64 = 2 * 60 * 60;
/// A run of `prune` without a deadline holds its lease this long.
pub const PRUNE_LEASE_S: i64 = 15 * 60;
/// Checkpoints that are older than this are not used any more,
pub const CHECKPOINT_AGE_MAX_S: i64 = 6 * DAY_S;
/// and from this age on nobody needs them.
pub const CHECKPOINT_KEPT_S: i64 = 7 * DAY_S;
/// What is kept longer than its days is locked for this long at least: `prune` runs each day, and may fail once.
pub const LOCK_AHEAD_S: i64 = 2 * DAY_S;
/// Locks are extended by so much more than is needed, so that it is not done every day.
pub const LOCK_STEP_S: i64 = 7 * DAY_S;
/// Snapshots that one run lets expire; the next goes on.
pub const EXPIRE_MAX: usize = 1_000;
/// Ranges of objects that are marked in one vault at a time.
pub const MARKS_MAX: usize = 2_000;
/// Objects that are deleted at once.
pub const DELETES_IN_FLIGHT: usize = 8;
/// A request that is sent again with the same idempotency key within this time is answered as it was.
pub const CLAIM_KEPT_S: i64 = DAY_S;
/// Records of backups that are gone, and of what was done, are kept this long.
pub const RECORDS_KEPT_S: i64 = 400 * DAY_S;
/// What is wrong with a snapshot in one vault, that its record keeps.
pub const FINDINGS_KEPT: usize = 20;
/// Reports of snapshots with findings that the record of a verification keeps,
pub const REPORTS_KEPT: usize = 100;
/// each with so many findings: all of it fits into one item of the catalog.
pub const REPORT_FINDINGS_KEPT: usize = 5;
/// Segments and objects of Storage that `verify` reads at once.
pub const READS_IN_FLIGHT: usize = 2;
/// A verification without a deadline may take this long.
pub const VERIFY_LEASE_S: i64 = 15 * 60;
/// A drill without a deadline may take this long.
pub const DRILL_LEASE_S: i64 = 15 * 60;
/// Rows take so many times their bytes once they are restored: the table, its indexes, and the server's log.
pub const DRILL_GROWTH: u64 = 3;
/// Of what a restore told, a drill's record keeps so much.
pub const DRILL_WARNINGS_KEPT: usize = 50;
/// A check of the owner may take so many seconds.
pub const CHECK_S: u32 = 60;
/// A backup of which nothing was heard for so long has stalled.
pub const STALLED_S: i64 = 15 * 60;
/// What the backups take is counted this often; a run may be a little early.
pub const USAGE_EVERY_S: i64 = DAY_S - 30 * 60;
/// Growth is told over so many counts.
pub const USAGE_GROWTH_RECORDS: usize = 30;
/// Backups whose share a count keeps, newest first.
pub const USAGE_BACKUPS_KEPT: usize = 1_000;
/// Of each other kind of record so many are looked at.
pub const WATCH_RECORDS: usize = 200;
/// Backups that are looked at, as a rule, to say whether the source is protected.
pub const PROTECTION_BACKUPS: usize = 50;
/// A backup that was asked for so long before another shows no later instant, however long it waited for its turn.
pub const TURNS_PASS_S: i64 = DAY_S;
/// Backups that are read at once to tell of the last days.
pub const HISTORY_PAGE: usize = 200;
/// Drills that are looked at to say whether the source is protected.
pub const PROTECTION_DRILLS: usize = 200;
/// Backups that a history tells of, and as many that were missed.
pub const HISTORY_RUNS_MAX: usize = 3_000;
/// A backup that was due so long ago, and did not begin, is late.
pub const LATE_S: i64 = 10 * 60;
/// Backups that are looked at for a drill that says how long a restore should take.
pub const DRILLED_LOOKS: usize = 200;
/// A rotation without a deadline may take this long.
pub const ROTATE_LEASE_S: i64 = 15 * 60;
/// Bytes that tell which key an object is sealed under; a longer header is read in a second call.
pub const HEADER_PROBE_BYTES: usize = 4 * 1024;
/// Packs that are fetched while another is sealed again.
pub const PACKS_AHEAD: usize = 2;
/// Of the tables of a backup the catalog keeps so many bytes of JSON,
pub const CONTENTS_BYTES_MAX: usize = 256 * 1024;
/// and of its parts and buckets so many each.
pub const CONTENTS_COVERAGE_MAX: usize = 200;
/// Backups that could not be sealed again, that the record of a rotation keeps.
pub const NOT_SEALED_KEPT: usize = 50;
/// The zstd level of manifests and lists that are written by `rotate`.
pub const MANIFEST_LEVEL: i32 = 1;
/// Conditional writes of one record that may lose against others before the writer gives up.
pub const AMEND_TRIES: usize = 50;
/// Objects of a snapshot that are checked or copied at once when it is replicated.
pub const REPLICATE_IN_FLIGHT: usize = 2;
/// The most that a page of a listing holds.
pub const PAGE_MAX: usize = 1_000;

const MIB: usize = 1024 * 1024;
/// A day.
pub const DAY_S: i64 = 24 * 60 * 60;

const _: () = assert!(EXTENT_BYTES <= PACK_BYTES);
// An attempt that uses a checkpoint ends before what it lists may be deleted.
const _: () = assert!(CHECKPOINT_AGE_MAX_S < CHECKPOINT_KEPT_S && PRUNE_LEASE_S < PRUNE_GRACE_S);
const _: () = assert!(PACK_BYTES + 2 * EXTENT_BYTES <= OBJECT_BYTES_MAX);
const _: () = assert!(SCHEMA_BYTES_MAX < OBJECT_BYTES_MAX);
const _: () = assert!(3 * LEASE_RENEW_S < LEASE_TTL_S);
const _: () = assert!(SAFETY_POLL_S < LEASE_TTL_S && LEASE_TTL_S < SAFETY_AGE_MAX_S);
const _: () = assert!((PROGRESS_MS as i64) < LEASE_RENEW_S * 1_000);
