//! The system's file dialogs. They run beside the window, which goes on.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use eframe::egui::Context;

use crate::model::{Dialog, Model, UploadTarget};
use crate::texts;

/// What came of a dialog: nothing chosen, if it was cancelled; `None`, if the system showed none.
type Chosen = Option<Vec<PathBuf>>;

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
    open: Option<Open>,
}

/// A file dialog that is open.
#[derive(Debug)]
struct Open {
    pick: Pick,
    /// Where uploads go: what was shown when they were asked for.
    target: Option<UploadTarget>,
    chosen: Receiver<Chosen>,
}

impl Picker {
    /// Opens a dialog, unless one is open. What it chooses for upload goes to the `target`.
    pub(super) fn open(&mut self, pick: Pick, target: Option<UploadTarget>, window: &Context) {
        if self.open.is_some() {
            return;
        }
        let (send, chosen) = channel();
        let window = window.clone();
        // The dialog is made here, since some systems want that on the window's thread, and waited for elsewhere.
        let dialog = rfd::AsyncFileDialog::new().set_title(match pick {
            Pick::Files => texts::PICK_FILES,
            Pick::Folder => texts::PICK_FOLDER,
            Pick::Target => texts::LOCAL_FOLDER,
        });
        let waiting: std::pin::Pin<Box<dyn Future<Output = Chosen> + Send>> = match pick {
            Pick::Files => {
                let picking = dialog.pick_files();
                Box::pin(async move { picking.await.map(paths) })
            }
            // Several, since only so it can be told apart whether one was cancelled or there was none.
            Pick::Folder | Pick::Target => {
                let picking = dialog.pick_folders();
                Box::pin(async move { picking.await.map(paths) })
            }
        };
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let _ = send.send(runtime.ok().and_then(|runtime| runtime.block_on(waiting)));
            window.request_repaint();
        });
        self.open = Some(Open { pick, target, chosen });
    }

    /// Takes what was chosen, if it was.
    pub(super) fn take(&mut self, model: &mut Model) {
        let Some(open) = &self.open else { return };
        let chosen = match open.chosen.try_recv() {
            Ok(chosen) => chosen,
            Err(std::sync::mpsc::TryRecvError::Empty) => return,
            Err(std::sync::mpsc::TryRecvError::Disconnected) => None,
        };
        let Some(Open { pick, target, .. }) = self.open.take() else { return };
        let Some(chosen) = chosen else {
            // Elsewhere the system always has one, and this is how it says that nothing was chosen.
            if cfg!(not(any(windows, target_os = "macos"))) {
                model.notices.complain(&texts::no_file_dialog(pick == Pick::Target), Instant::now());
            }
            return;
        };
        match (pick, &mut model.dialog) {
            (Pick::Files | Pick::Folder, _) => {
                if let Some(target) = target {
                    model.upload_to(target, chosen);
                }
            }
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::engine::{EngineCommand, Opening};
    use crate::model::queue::TransferQueue;

    #[cfg(not(any(windows, target_os = "macos")))]
    #[test]
    fn where_the_system_has_no_file_dialog_the_way_without_one_is_named() {
        for (pick, way) in [(Pick::Files, "Ctrl+U"), (Pick::Folder, "Ctrl+U"), (Pick::Target, "type")] {
            let mut model = Model::new(
                Arc::new(Mutex::new(TransferQueue::new(1))),
                PathBuf::from("/"),
                Opening::default(),
            );
            let (send, chosen) = channel();
            let mut picker = Picker { open: Some(Open { pick, target: None, chosen }) };
            send.send(Some(Vec::new())).unwrap();
            picker.take(&mut model);
            assert!(model.notices.at(Instant::now()).is_empty(), "who cancels knows it");

            let (send, chosen) = channel();
            let mut picker = Picker { open: Some(Open { pick, target: None, chosen }) };
            send.send(None).unwrap();
            picker.take(&mut model);
            let told = model.notices.at(Instant::now());
            assert!(told[0].text.contains(way) && told[0].text.contains("xdg-desktop-portal"), "{told:?}");
            assert!(picker.open.is_none(), "it can be tried again");
        }
    }

    #[test]
    fn chosen_files_go_to_what_was_shown_when_they_were_asked_for() {
        let mut model =
            Model::new(Arc::new(Mutex::new(TransferQueue::new(1))), PathBuf::from("/"), Opening::default());
        model.open("first".parse().unwrap());
        model.browser.path = "/alice/docs".parse().unwrap();
        let (send, chosen) = channel();
        let mut picker = Picker { open: Some(Open { pick: Pick::Files, target: model.target(), chosen }) };
        model.open("second".parse().unwrap());
        model.browser.path = "/bob".parse().unwrap();
        model.take_commands();
        send.send(Some(vec!["/home/a".into()])).unwrap();
        picker.take(&mut model);
        let commands = model.take_commands();
        let [EngineCommand::PlanUploads { profile, to, .. }] = &commands[..] else { panic!("{commands:?}") };
        assert_eq!((profile.as_str(), to.as_str()), ("first", "/alice/docs"));
    }
}
