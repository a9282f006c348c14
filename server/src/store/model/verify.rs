//! What has to be true of the store after each group.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;

use rusqlite::Connection;
use sealift_types::{Digest, Hasher, Rights};

use super::operation::{ModelPath, NAMES, SPACES};
use super::real::Real;
use super::simple::{ModelNode, Simple};
use crate::request::get;
use crate::store::blobs::path_below;
use crate::store::objects::{self, ContentBytes, ContentId};
use crate::store::spaces;

/// Queries that must find nothing.
const NEVER: &[(&str, &str)] = &[
    ("a content without a name", "SELECT count(*) FROM objects WHERE id NOT IN (SELECT object FROM entries WHERE object IS NOT NULL)
             AND id NOT IN (SELECT object FROM released)"),
    (
        "a content whose bytes are not in one place",
        "SELECT count(*) FROM objects WHERE size <> coalesce((SELECT length(data) FROM contents WHERE object = id), 0)
             + coalesce((SELECT sum(length) FROM extents WHERE object = id), 0)",
    ),
    ("a blob that nothing refers to", "SELECT count(*) FROM blobs WHERE id NOT IN (SELECT blob FROM extents)"),
    (
        "garbage that is needed",
        "SELECT count(*) FROM garbage WHERE digest IN (SELECT digest FROM blobs)",
    ),
    (
        "an extent beyond its blob",
        "SELECT count(*) FROM extents JOIN blobs ON blobs.id = blob WHERE offset + length > blobs.size",
    ),
    (
        "an entry without a directory",
        "SELECT count(*) FROM entries WHERE parent > 0 AND parent NOT IN
             (SELECT id FROM entries WHERE object IS NULL AND target IS NULL)",
    ),
    ("a reference to nothing", "SELECT count(*) FROM pragma_foreign_key_check"),
];

fn text(error: impl Display) -> String {
    error.to_string()
}

fn demand(good: bool, fault: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(fault()) }
}

fn count(connection: &Connection, sql: &str) -> Result<i64, String> {
    connection.query_row(sql, [], |row| row.get(0)).map_err(text)
}

pub(super) async fn all(real: &mut Real, simple: &Simple) -> Result<(), String> {
    let state = real.state().clone();
    // What was posted and not awaited comes before this.
    state.catalog.write(|_| Ok(())).await.map_err(text)?;
    let data = real.data();
    let look = |connection: &Connection| Ok(catalog(connection, &data, simple));
    state.catalog.read_here(look).map_err(text)??;
    rights(real, simple)?;
    readers(real, simple).await?;
    parts(real, simple)?;
    files(real, simple)
}

fn catalog(connection: &Connection, data: &Path, simple: &Simple) -> Result<(), String> {
    tree(connection, data, simple)?;
    for (what, sql) in NEVER {
        let found = count(connection, sql)?;
        demand(found == 0, || format!("{found} times {what}"))?;
    }
    let logged = count(connection, "SELECT count(*) FROM transfers")?;
    let (most, least) = (simple.logged, simple.logged - simple.lost);
    demand(usize::try_from(logged).is_ok_and(|logged| (least..=most).contains(&logged)), || {
        format!("{logged} records of {least} to {most} uploads")
    })
}

/// Every path, and the bytes at it.
pub(super) fn tree(connection: &Connection, data: &Path, simple: &Simple) -> Result<(), String> {
    let mut statement = connection
        .prepare(
            "WITH RECURSIVE up (id, space, path, object, target, mtime) AS (
                 SELECT id, -parent, name, object, target, mtime FROM entries WHERE parent < 0
                 UNION ALL
                 SELECT entries.id, up.space, up.path || '/' || name, entries.object, entries.target, entries.mtime
                 FROM up JOIN entries ON parent = up.id)
             SELECT spaces.name, path, object, target, mtime FROM up JOIN spaces ON spaces.id = space",
        )
        .map_err(text)?;
    let mut rows = statement.query([]).map_err(text)?;
    let mut found = BTreeSet::new();
    while let Some(row) = rows.next().map_err(text)? {
        let (space, path): (String, String) = (row.get(0).map_err(text)?, row.get(1).map_err(text)?);
        let at = ModelPath {
            space: SPACES.iter().position(|known| *known == space).ok_or("a space of no name")?,
            names: path.split('/').map(str::to_owned).collect(),
        };
        let here = || format!("/{space}/{path}");
        let node = simple.nodes.get(&at).ok_or_else(|| format!("{} is there and should not be", here()))?;
        let object: Option<i64> = row.get(2).map_err(text)?;
        let (target, time): (Option<String>, i64) = (row.get(3).map_err(text)?, row.get(4).map_err(text)?);
        match (node, object, target) {
            (ModelNode::Directory, None, None) => {}
            (ModelNode::Link { mtime }, None, Some(_)) if *mtime == time => {}
            (ModelNode::File { bytes, mtime }, Some(object), None) if *mtime == time => {
                if simple.damaged.contains(&bytes.digest) {
                    found.insert(at);
                    continue;
                }
                let read = read(connection, &data.join("blobs"), ContentId(object));
                let good = read.as_ref().is_ok_and(|data| *data == bytes.data);
                demand(good, || format!("{} reads {}", here(), described(read.as_deref())))?;
            }
            (node, object, target) => {
                return Err(format!(
                    "{} is {object:?}, {target:?}, {time} and should be {}",
                    here(),
                    kind(node)
                ));
            }
        }
        found.insert(at);
    }
    match simple.nodes.keys().find(|at| !found.contains(at)) {
        None => Ok(()),
        Some(missing) => Err(format!("{} should be there and is not", missing.path())),
    }
}

fn kind(node: &ModelNode) -> String {
    match node {
        ModelNode::Directory => "a directory".into(),
        ModelNode::File { bytes, mtime } => format!("{} bytes of {mtime}", bytes.data.len()),
        ModelNode::Link { mtime } => format!("a link of {mtime}"),
    }
}

fn described(read: Result<&[u8], &String>) -> String {
    match read {
        Ok(data) => format!("{} other bytes", data.len()),
        Err(error) => error.clone(),
    }
}

fn read(connection: &Connection, blobs: &Path, object: ContentId) -> Result<Vec<u8>, String> {
    match objects::bytes(connection, object).map_err(text)? {
        ContentBytes::Inline(data) => Ok(data),
        ContentBytes::Extents(extents) => {
            let mut bytes = Vec::new();
            for extent in extents {
                let file = std::fs::read(path_below(blobs, &extent.blob)).map_err(text)?;
                let start = usize::try_from(extent.offset).map_err(text)?;
                let end = start + usize::try_from(extent.length).map_err(text)?;
                bytes.extend(file.get(start..end).ok_or("a file that is too short")?);
            }
            Ok(bytes)
        }
    }
}

/// What everybody may do.
fn rights(real: &Real, simple: &Simple) -> Result<(), String> {
    let look = |connection: &Connection| {
        for (who, name) in NAMES.iter().enumerate() {
            let caller = real.caller(who);
            let known = caller.verify(connection).is_ok();
            if known != real.is_known(who, simple) {
                return Ok(Err(format!("the certificate of {name} is good: {known}")));
            }
            for (number, space) in SPACES.iter().enumerate() {
                let found = spaces::access(connection, caller.identity, &space.parse().unwrap())?.rights();
                let right = simple.rights(who, number);
                if found != right {
                    return Ok(Err(format!(
                        "{name} has {:?} in {space}, not {:?}",
                        found.names(),
                        right.names()
                    )));
                }
            }
        }
        Ok(Ok(()))
    };
    real.state().catalog.read_here(look).map_err(text)?
}

/// What somebody gets who may read there, and who may not.
async fn readers(real: &Real, simple: &Simple) -> Result<(), String> {
    for (number, (at, node)) in simple.nodes.iter().enumerate() {
        let ModelNode::File { bytes, .. } = node else { continue };
        if simple.damaged.contains(&bytes.digest) {
            continue;
        }
        let who = number % NAMES.len();
        let may = real.is_known(who, simple) && simple.rights(who, at.space).contains(Rights::READ);
        let got = get::whole(real.state(), &real.caller(who), at.path()).await;
        let good = match &got {
            Ok(data) => may && *data == bytes.data,
            Err(_) => !may,
        };
        demand(good, || {
            let got = got.map(|data| data.len()).map_err(text);
            format!("{} gets {got:?} of {}, who may: {may}", NAMES[who], at.path())
        })?;
    }
    Ok(())
}

/// What can be continued.
fn parts(real: &Real, simple: &Simple) -> Result<(), String> {
    for ((by, at, piece), parts) in &simple.parts {
        let longest = parts.values().max().copied();
        let offered = real.offered(*by, at, *piece).map(|offer| offer.offset);
        demand(offered == longest, || {
            format!("{} is offered {offered:?} of {}, not {longest:?}", NAMES[*by], at.path())
        })?;
    }
    Ok(())
}

/// Every blob has its file.
fn files(real: &Real, simple: &Simple) -> Result<(), String> {
    let files: BTreeSet<_> = real.files().into_iter().collect();
    for (digest, size) in blobs(real)? {
        if simple.damaged_files.contains(&digest) {
            continue;
        }
        demand(files.contains(&digest), || format!("the file of the blob {digest} is missing"))?;
        let path = real.state().blobs.path(&digest);
        let mut hasher = Hasher::new();
        std::fs::File::open(path).and_then(|file| hasher.read(file, size)).map_err(text)?;
        demand(hasher.finish() == digest, || format!("the blob {digest} holds other bytes"))?;
    }
    Ok(())
}

fn blobs(real: &Real) -> Result<BTreeMap<Digest, u64>, String> {
    let look = |connection: &Connection| {
        let mut statement = connection.prepare("SELECT digest, size FROM blobs")?;
        let rows = statement.query_map([], |row| {
            Ok((Digest::from_bytes(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned()))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    };
    real.state().catalog.read_here(look).map_err(text)
}

/// After a collection only what somebody needs is there.
pub(super) fn nothing_is_left(real: &Real) -> Result<(), String> {
    let (files, blobs) = (real.files(), blobs(real)?);
    let orphans: Vec<_> = files.iter().filter(|file| !blobs.contains_key(*file)).collect();
    demand(orphans.is_empty(), || format!("the files {orphans:?} are left"))?;
    let rows = |table| {
        let sql = format!("SELECT count(*) FROM {table}");
        real.state().catalog.read_here(|connection| Ok(count(connection, &sql))).map_err(text)?
    };
    let (marks, parts) = (rows("released")? + rows("garbage")? + rows("thinned")?, rows("parts")?);
    let left = real.state().blobs.leftovers().map_err(text)?.len();
    demand((marks, usize::try_from(parts).map_err(text)?) == (0, left), || {
        "marks are left, or parts without rows or files".to_owned()
    })
}
