//! What is said of servers.

use super::thousands;

pub(crate) fn join_again_title(server: &str) -> String {
    format!("Connect to {server} again")
}

pub(crate) fn joined_another(server: &str) -> String {
    format!("That token is for another server: it is added as {server}")
}

pub(crate) fn remove_server_title(server: &str) -> String {
    format!("Remove the server \u{201c}{server}\u{201d} from this computer?")
}

pub(crate) fn transfers_go(count: usize) -> String {
    match count {
        1 => "1 unfinished transfer is taken off the list.".to_owned(),
        _ => format!("{} unfinished transfers are taken off the list.", thousands(count)),
    }
}

pub(crate) fn removed(server: &str) -> String {
    format!("The server \u{201c}{server}\u{201d} is removed from this computer")
}
