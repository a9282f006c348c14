//! The modules of the desktop client that read its queue, by path: the client itself brings a window along.

#[path = "../../gui/src/any_path.rs"]
#[allow(dead_code)]
pub(crate) mod any_path;
#[path = "../../gui/src/saved_queue.rs"]
#[allow(dead_code)]
pub(crate) mod saved_queue;
