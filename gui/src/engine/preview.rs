//! A look into a file: small images and the beginning of texts. What is fetched for it is bounded.

use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex, PoisonError};

use image::{ImageReader, Limits};
use sealift_protocol::message::Description;
use sealift_transfer::download::{Destination, Download, download};
use sealift_transfer::tree::WalkOptions;
use sealift_transfer::{TransferError, TransferOptions};
use sealift_types::Name;

use super::context::EngineContext;
use super::messages::Preview;

/// The largest image that is fetched.
const IMAGE: u64 = 16 * 1024 * 1024;

/// The largest text that is fetched.
const TEXT: u64 = 1024 * 1024;

/// How much of a text is shown.
const SHOWN: usize = 16 * 1024;

/// The longer side of an image as it is shown, in pixels.
const SIDE: u32 = 640;

/// What may be in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PreviewKind {
    Image,
    Text,
}

/// What may be in a file, going by its name and size; nothing if it is not worth fetching.
pub(super) fn kind(description: &Description) -> Option<PreviewKind> {
    let size = description.size?;
    let name = description.path.file_name()?;
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("png" | "jpg" | "jpeg" | "gif" | "webp" | "bmp") => {
            (size <= IMAGE).then_some(PreviewKind::Image)
        }
        Some(
            "zip" | "gz" | "xz" | "zst" | "bz2" | "7z" | "tar" | "pdf" | "mp4" | "mkv" | "mov" | "mp3"
            | "flac" | "iso" | "exe" | "deb" | "so" | "bin" | "o" | "a",
        ) => None,
        _ => (size <= TEXT).then_some(PreviewKind::Text),
    }
}

/// Fetches a file, and makes of it what can be shown.
pub(super) async fn fetch(
    shared: &EngineContext,
    profile: &Name,
    description: &Description,
    kind: PreviewKind,
) -> Result<Preview, TransferError> {
    let most = if kind == PreviewKind::Image { IMAGE } else { TEXT };
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let sink = LimitedBuffer { bytes: bytes.clone(), most: usize::try_from(most).unwrap_or(usize::MAX) };
    let wanted =
        Download { from: description.path.clone(), to: Destination::Stream(Box::new(sink)), tree: None };
    // A look is no download.
    let manner = TransferOptions::preview();
    let mut client = shared.client(profile)?;
    let failed = Mutex::new(false);
    let events = |event| {
        if let sealift_transfer::Event::Failed { .. } = event {
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
    };
    download(&mut client, vec![wanted], &WalkOptions::default(), manner, &events).await?;
    shared.give_back(profile, client);
    if failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Ok(Preview::Nothing);
    }
    let bytes = std::mem::take(&mut *bytes.lock().unwrap_or_else(PoisonError::into_inner));
    let made = tokio::task::spawn_blocking(move || match kind {
        PreviewKind::Image => image(&bytes),
        PreviewKind::Text => text(&bytes),
    });
    Ok(made.await.ok().flatten().unwrap_or(Preview::Nothing))
}

/// Takes so many bytes and no more, whatever the file has become meanwhile.
struct LimitedBuffer {
    bytes: Arc<Mutex<Vec<u8>>>,
    most: usize,
}

impl Write for LimitedBuffer {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.len() + more.len() > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A small picture of an image; nothing if it is none, or would take too much memory.
fn image(bytes: &[u8]) -> Option<Preview> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(16_384);
    limits.max_image_height = Some(16_384);
    limits.max_alloc = Some(128 * 1024 * 1024);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    reader.limits(limits);
    let image = reader.decode().ok()?;
    let image = if image.width().max(image.height()) > SIDE { image.thumbnail(SIDE, SIDE) } else { image };
    let image = image.into_rgba8();
    let size = [usize::try_from(image.width()).ok()?, usize::try_from(image.height()).ok()?];
    Some(Preview::Image { size, pixels: image.into_raw().into() })
}

/// The beginning of a text; nothing if it is none.
fn text(bytes: &[u8]) -> Option<Preview> {
    let beginning = &bytes[..bytes.len().min(SHOWN)];
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // A character may be cut in two at the end of what is shown.
        Err(error) if error.error_len().is_none() && bytes.len() > SHOWN => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_text = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    text.chars().all(is_text).then(|| Preview::Text(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &str, size: u64) -> Description {
        Description {
            path: format!("/alice/{name}").parse().unwrap(),
            kind: sealift_protocol::message::EntryKind::File,
            size: Some(size),
            sha256: None,
            mtime: 0,
            executable: false,
            target: None,
            stored_at: 0,
            by: None,
            stored_bytes: None,
        }
    }

    #[test]
    fn only_what_is_small_and_may_be_shown_is_fetched() {
        assert_eq!(kind(&described("a.PNG", 5)), Some(PreviewKind::Image));
        assert_eq!(kind(&described("README", 5)), Some(PreviewKind::Text));
        assert_eq!(kind(&described("a.png", IMAGE + 1)), None);
        assert_eq!(kind(&described("log.txt", TEXT + 1)), None);
        assert_eq!(kind(&described("a.zip", 5)), None);
    }

    #[test]
    fn texts_are_cut_between_characters_and_others_are_none() {
        let long = "ä".repeat(SHOWN);
        let Some(Preview::Text(shown)) = text(format!("x{long}").as_bytes()) else { panic!() };
        assert_eq!(shown.len(), SHOWN - 1);
        assert_eq!(text(b"\x00\x01"), None);
        assert_eq!(text(b"\xff\xfe"), None);
        assert_eq!(text(b"cut \xc3"), None);
    }

    #[test]
    fn images_become_small_and_nonsense_becomes_nothing() {
        let mut png = Cursor::new(Vec::new());
        image::RgbaImage::new(1280, 320).write_to(&mut png, image::ImageFormat::Png).unwrap();
        let Some(Preview::Image { size, pixels }) = image(png.get_ref()) else { panic!() };
        assert_eq!((size, pixels.len()), ([640, 160], 640 * 160 * 4));
        assert_eq!(image(b"no image"), None);
    }
}
