//! Packs and other blobs: a content is what its extents hold, or an error, whatever the catalog says about them.

use std::cell::OnceCell;
use std::fs;
use std::io::Read;

use arbitrary::{Arbitrary, Unstructured};
use sealift_protocol::message::MAX_INLINE;
use sealift_server::store::Blobs;
use sealift_server::store::extent::Extent;
use sealift_types::Digest;
use tempfile::TempDir;

use crate::memory::within;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    contents: [&'a [u8]; 2],
    /// How often the first content is repeated: a pack has more than a page.
    times: u16,
    extents: Vec<Run>,
    /// From where on a client asks.
    offset: u64,
}

#[derive(Debug, Arbitrary)]
enum Run {
    /// One that lies in its file, or ends a little behind it.
    Near { blob: bool, offset: u16, length: u16 },
    /// One that only a damaged catalog has.
    Far { blob: bool, offset: u64, length: u64 },
    /// One of a file that is not there.
    Missing { length: u8 },
}

struct Folder {
    folder: TempDir,
    blobs: Blobs,
}

thread_local! {
    static FOLDER: OnceCell<Folder> = const { OnceCell::new() };
}

fn open() -> Folder {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    for name in ["blobs", "incoming"] {
        fs::create_dir(folder.path().join(name)).expect("the folder can be written");
    }
    let blobs = Blobs::open(folder.path()).expect("the folder is a store");
    Folder { folder, blobs }
}

/// Takes files and extents.
pub fn check(bytes: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    FOLDER.with(|folder| read(folder.get_or_init(open), &input));
}

fn read(Folder { folder, blobs }: &Folder, input: &Input<'_>) {
    let files = [input.contents[0].repeat(usize::from(input.times % 512) + 1), input.contents[1].to_vec()];
    // Names are digests; these are of two contents that are always the same.
    let names = [Digest::of(b"first"), Digest::of(b"second")];
    for (name, bytes) in names.iter().zip(&files) {
        let name = name.to_string();
        let directory = folder.path().join("blobs").join(&name[..2]);
        fs::create_dir_all(&directory).expect("the folder can be written");
        fs::write(directory.join(name), bytes).expect("the folder can be written");
    }
    let extents: Vec<_> = input.extents.iter().take(16).map(|run| extent(run, &names)).collect();
    let wanted: Option<Vec<_>> = extents.iter().map(|extent| run(extent, &names, &files)).collect();
    let wanted = wanted.map(|runs| runs.concat());
    let guard = blobs.guard();
    if let Some(wanted) = &wanted {
        assert!(blobs.has(&extents), "files that are there count as missing");
        let at = usize::try_from(input.offset).unwrap_or(usize::MAX).min(wanted.len());
        let mut found = Vec::new();
        let reader = blobs.read(&extents, input.offset, &guard);
        reader.expect("the files are there").read_to_end(&mut found).expect("they are long enough");
        assert!(found == wanted[at..], "another content is read");
    } else {
        assert!(!blobs.has(&extents), "files count as there that are missing or too short");
        let mut found = Vec::new();
        let all = blobs.read(&extents, 0, &guard).map(|mut reader| reader.read_to_end(&mut found));
        assert!(!matches!(all, Ok(Ok(_))), "a content is read that is not there");
    }
    // Small contents come in one piece. Memory is taken for no more than one may have.
    let most = usize::try_from(2 * MAX_INLINE).expect("it is small") + 64 * 1024;
    let found = within(most, || blobs.packs(&guard).read(&extents).ok());
    match wanted.filter(|wanted| wanted.len() as u64 <= MAX_INLINE) {
        Some(wanted) => assert!(found == Some(wanted), "another small content is read"),
        None => assert!(found.is_none(), "a small content is read that is not there, or is not small"),
    }
}

fn extent(run: &Run, names: &[Digest; 2]) -> Extent {
    let name = |second: bool| names[usize::from(second)];
    // No extent is empty: an empty content has none.
    match *run {
        Run::Near { blob, offset, length } => {
            Extent { blob: name(blob), offset: offset.into(), length: u64::from(length).max(1) }
        }
        Run::Far { blob, offset, length } => Extent { blob: name(blob), offset, length: length.max(1) },
        Run::Missing { length } => {
            Extent { blob: Digest::of(b"missing"), offset: 0, length: u64::from(length).max(1) }
        }
    }
}

/// The bytes of an extent; `None` if they are not all there.
fn run<'a>(extent: &Extent, names: &[Digest; 2], files: &'a [Vec<u8>; 2]) -> Option<&'a [u8]> {
    let file = &files[names.iter().position(|name| *name == extent.blob)?];
    let start = usize::try_from(extent.offset).ok()?;
    let end = start.checked_add(usize::try_from(extent.length).ok()?)?;
    file.get(start..end)
}
