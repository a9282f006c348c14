//! The system's file dialogs. They run beside the window, which goes on.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

use eframe::egui::Context;

use crate::model::{Dialog, Model};

/// What is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pick {
    /// Files to upload.
    Files,
    /// A folder to upload.
    Folder,
    /// A folder for downloads, for the dialog that is open.
    Target,
}

/// A file dialog that may be open.
#[derive(Debug, Default)]
pub(super) struct Picker {
    open: Option<(Pick, Receiver<Vec<PathBuf>>)>,
}

impl Picker {
    /// Opens a dialog, unless one is open.
    pub(super) fn open(&mut self, pick: Pick, window: &Context) {
        if self.open.is_some() {
            return;
        }
        let (send, chosen) = channel();
        let window = window.clone();
        // The dialog is made here, since some systems want that on the window's thread, and waited for elsewhere.
        let dialog = rfd::AsyncFileDialog::new();
        let waiting: std::pin::Pin<Box<dyn Future<Output = Vec<PathBuf>> + Send>> = match pick {
            Pick::Files => {
                let picking = dialog.pick_files();
                Box::pin(async move { paths(picking.await.unwrap_or_default()) })
            }
            Pick::Folder | Pick::Target => {
                let picking = dialog.pick_folder();
                Box::pin(async move { paths(picking.await.into_iter().collect()) })
            }
        };
        std::thread::spawn(move || {
            let chosen = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(waiting),
                Err(_) => Vec::new(),
            };
            let _ = send.send(chosen);
            window.request_repaint();
        });
        self.open = Some((pick, chosen));
    }

    /// Takes what was chosen, if it was.
    pub(super) fn take(&mut self, model: &mut Model) {
        let Some((pick, chosen)) = &self.open else { return };
        let chosen = match chosen.try_recv() {
            Ok(chosen) => chosen,
            Err(std::sync::mpsc::TryRecvError::Empty) => return,
            Err(std::sync::mpsc::TryRecvError::Disconnected) => Vec::new(),
        };
        let pick = *pick;
        self.open = None;
        match (pick, &mut model.dialog) {
            (Pick::Files | Pick::Folder, _) => model.upload(chosen),
            (Pick::Target, Some(Dialog::DownloadTo { to, chosen: place, .. })) => {
                if let Some(path) = chosen.into_iter().next() {
                    *to = path.display().to_string();
                    *place = path;
                }
            }
            (Pick::Target, _) => {}
        }
    }
}

fn paths(handles: Vec<rfd::FileHandle>) -> Vec<PathBuf> {
    handles.into_iter().map(|handle| handle.path().to_owned()).collect()
}
