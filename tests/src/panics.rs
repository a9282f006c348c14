//! Panics inside a server that runs in this process. Tokio catches them, so that a test would not notice.

use std::panic;
use std::sync::{Mutex, Once, PoisonError};
use std::thread;

/// The server's writing thread, which has the same name in every world.
const WRITER: &str = "catalog";

static SEEN: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Notes from now on which threads panic.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Some(name) = thread::current().name() {
                SEEN.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), info.to_string()));
            }
            usual(info);
        }));
    });
}

/// What the panics in threads called `name`, and in writers, said.
pub(crate) fn of(name: &str) -> Vec<String> {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let ours = seen.iter().filter(|(thread, _)| thread == name || thread == WRITER);
    ours.map(|(_, message)| message.clone()).collect()
}
