//! One step that a large transfer cannot do without, alone: the benchmarks take the CPU time of each from outside, and
//! what they add up to is this machine's limit.
//!
//!     limit hash|seal|open|socket|read|write MIB FILE
//!
//! Memory is as close to the core as it could be at best. FILE is what `read` reads and `write` writes past the page cache.

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::{env, hint, thread};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sealift_pipeline::{ALIGNMENT, BLOCK, DirectFile, FRAME};
use sealift_types::Hasher;

const RECORD: usize = 16 * 1024;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let usage = "usage: limit hash|seal|open|socket|read|write MIB FILE";
    let [step, mib, path] = env::args().skip(1).collect::<Vec<_>>().try_into().map_err(|_| usage)?;
    let bytes = mib.parse::<usize>()? << 20;
    match &*step {
        "hash" => {
            let (piece, mut hasher) = (vec![7; FRAME], Hasher::new());
            (0..bytes / FRAME).for_each(|_| hasher.update(&piece));
            hint::black_box(hasher.finish());
            Ok(())
        }
        "seal" => cipher(bytes, 0),
        "open" => cipher(0, bytes),
        "socket" => socket(bytes),
        "read" => {
            let (mut file, mut piece) = (File::open(path)?, vec![0; FRAME]);
            Ok((0..bytes / FRAME).try_for_each(|_| file.read_exact(&mut piece))?)
        }
        "write" => {
            let memory = vec![7; BLOCK + ALIGNMENT];
            let block = &memory[memory.as_ptr().align_offset(ALIGNMENT)..][..BLOCK];
            let mut file = DirectFile::new(File::create(path)?, true);
            (0..bytes / BLOCK).try_for_each(|_| file.write_all(block))?;
            Ok(file.file().sync_all()?)
        }
        _ => Err(usage.into()),
    }
}

/// Seals so much, and opens so much, in records.
fn cipher(sealing: usize, opening: usize) -> Outcome {
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[1; 16])?);
    let nonce = || Nonce::assume_unique_for_key([2; 12]);
    let (mut plaintext, mut sealed, mut tag) = ([7; RECORD], [0; RECORD], [0; 16]);
    // One at least, for those that are opened.
    for _ in 0..(sealing / RECORD).max(1) {
        key.seal_out_of_place_scatter(nonce(), Aad::empty(), &plaintext, &mut sealed, &[], &mut tag)?;
    }
    for _ in 0..opening / RECORD {
        key.open_separate_gather(nonce(), Aad::empty(), &sealed, &tag, &mut plaintext)?;
    }
    Ok(())
}

/// Sends so much over the loopback, and receives it.
fn socket(bytes: usize) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    let (mut receiver, _) = listener.accept()?;
    let sending = thread::spawn(move || {
        let piece = vec![7; FRAME];
        (0..bytes / FRAME).try_for_each(|_| sender.write_all(&piece))
    });
    let mut piece = vec![0; FRAME];
    while receiver.read(&mut piece)? > 0 {}
    Ok(sending.join().map_err(|_| "the sender panicked")??)
}
