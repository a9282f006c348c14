//! Answers to requests.

use sealift_protocol::WireError;
use sealift_protocol::io::StreamError;
use sealift_protocol::message::{MessageError, Reply};
use sealift_types::ErrorCode;
use tracing::{debug, error};

use crate::error::Result;
use crate::session::SessionWriter;

/// Queues a reply; one that is too long for a message becomes an error.
pub fn push(writer: &mut SessionWriter, reply: &Reply) -> Result<()> {
    match writer.push(reply) {
        Err(StreamError::Message(MessageError::Frame(error))) => {
            error!(%error, "a reply is too long");
            let message = "the answer is too long for one message: ask for less, as in `sealift ls /`";
            Ok(writer.push(&Reply::Error(WireError::new(ErrorCode::Internal, message)))?)
        }
        pushed => Ok(pushed?),
    }
}

/// What the client is told; what only an administrator should know goes to the log.
pub fn to_reply(result: Result<Reply>) -> Reply {
    match result {
        Ok(reply) => reply,
        Err(error) => {
            if error.is_internal() {
                error.log("a request failed");
            } else {
                debug!(%error, "a request was refused");
            }
            Reply::Error(error.to_wire())
        }
    }
}
