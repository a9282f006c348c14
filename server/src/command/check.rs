//! `sealiftd check`

use std::io::Write;

use clap::Args;

use super::common::{CommonArgs, Damage, size, transact};
use crate::store::objects;
use crate::store::verification::{self, Finding};

/// Looks whether everything that is stored is there and is what was stored: the catalog, and each content's bytes.
///
/// It works beside a running server. Each path whose content is damaged is named, and the exit code is then 5. Whoever
/// has such a file can mend it by storing it again, under whatever name: damaged contents are marked, so that the next
/// upload puts their bytes in place again.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  sealiftd check --data /srv/sealift\n  sealiftd check --quick --data /backup/sealift"
)]
pub(super) struct CheckArgs {
    /// Look whether the files are there and have their size, without reading them.
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    common: CommonArgs,
}

impl CheckArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (_, data, connection) = self.common.open_to_read()?;
        let mut out = std::io::stdout().lock();
        let (mut catalog, mut contents, mut suspects) = (0u64, 0u64, Vec::new());
        let mut report = |finding: Finding| -> crate::error::Result<()> {
            let printed = match finding {
                Finding::Catalog(line) => {
                    catalog += 1;
                    writeln!(out, "the catalog is damaged: {line}")
                }
                Finding::Content { digest, fault, paths } => {
                    contents += 1;
                    suspects.push(digest);
                    match paths.is_empty() {
                        true => writeln!(out, "damaged: {digest}, which has no path: {fault}"),
                        false => paths.iter().try_for_each(|path| writeln!(out, "damaged: {path}: {fault}")),
                    }
                }
                Finding::Unneeded(_, fault) => {
                    writeln!(out, "damaged where nothing is stored any more: {fault}")
                }
            };
            // Somebody who stops reading has seen enough; what was found is marked all the same.
            let _ = printed;
            Ok(())
        };
        let checked = verification::check(&connection, data.path(), self.quick, &mut report)?;
        let mut connection = connection;
        if !suspects.is_empty() && !connection.is_readonly(rusqlite::MAIN_DB)? {
            transact(&mut connection, |connection| {
                suspects.iter().try_for_each(|digest| objects::quarantine(connection, digest))
            })?;
        }
        if catalog > 0 {
            let mend = "stop the server and restore it from a backup";
            return Err(Damage(format!("the catalog {} is damaged: {mend}", data.catalog().display())).into());
        }
        let how = if self.quick { "are there" } else { "are whole" };
        let (entries, whole) = (checked.entries, checked.contents.saturating_sub(contents));
        writeln!(
            out,
            "{entries} files; {whole} of {} contents ({}) {how}",
            checked.contents,
            size(checked.bytes)
        )?;
        if checked.orphans.files > 0 {
            let (files, bytes) = (checked.orphans.files, size(checked.orphans.bytes));
            writeln!(
                out,
                "{files} files below blobs/ ({bytes}) belong to nothing: `sealiftd gc` removes them"
            )?;
        }
        match contents {
            0 => Ok(()),
            _ => Err(Damage(format!(
                "{contents} contents are damaged: store the files again, or restore what is missing below {} from a \
                 backup",
                data.path().join("blobs").display()
            ))
            .into()),
        }
    }
}
