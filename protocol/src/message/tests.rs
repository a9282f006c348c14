use super::request::REQUESTS;
use super::*;
use crate::frame::MAX_CONTROL;
use proptest::prelude::*;
use sealift_types::ErrorCode;

fn frame(message: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::new();
    encode(message, &mut out).unwrap();
    out
}

/// Golden bytes: what a version 1 client sends and understands for ever.
#[test]
fn frames_are_pinned() {
    let hello = Request::Hello(Hello { versions: vec![1], agent: "t".into(), features: vec![] });
    assert_eq!(frame(&hello), b"J\0\0\x2b{\"type\":\"hello\",\"versions\":[1],\"agent\":\"t\"}");
    let put = Request::Put(Put {
        path: "a/b".parse().unwrap(),
        body: Body::Inline,
        size: Some(3),
        sha256: Some(Digest::of(b"abc")),
        mtime: Some(-1),
        executable: true,
        update: false,
        resume: None,
        key: None,
    });
    let json = br#"{"type":"put","path":"a/b","body":"inline","size":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","mtime":-1,"executable":true}"#;
    assert_eq!(frame(&put)[HEADER..], json[..]);
    let Request::Put(put) = put else { unreachable!("made as a put above") };
    let update = Request::Put(Put { body: Body::Stream, executable: false, update: true, ..put });
    let json = br#"{"type":"put","path":"a/b","body":"stream","size":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","mtime":-1,"update":true}"#;
    assert_eq!(frame(&update)[HEADER..], json[..]);
    let file =
        PlannedFile { path: "a".parse().unwrap(), size: 3, mtime: Some(7), update: true, sha256: None };
    let plan = Request::Plan(Plan { files: vec![file] });
    assert_eq!(
        frame(&plan)[HEADER..],
        br#"{"type":"plan","files":[{"path":"a","size":3,"mtime":7,"update":true}]}"#[..]
    );
    assert_eq!(frame(&Reply::Kept {})[HEADER..], br#"{"type":"kept"}"#[..]);
    let end = Trailer::End { size: 3, sha256: Digest::of(b"abc") };
    assert_eq!(
        frame(&end)[HEADER..],
        br#"{"type":"end","size":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}"#[..]
    );
    let refuse = Reply::Plan {
        files: vec![
            Verdict::Send,
            Verdict::Hash,
            Verdict::Present,
            Verdict::Resume { offset: 7 },
            Verdict::Keep,
            Verdict::Refuse(WireError::new(ErrorCode::NotAllowed, "no")),
        ],
    };
    assert_eq!(
        frame(&refuse)[HEADER..],
        br#"{"type":"plan","files":[{"do":"send"},{"do":"hash"},{"do":"present"},{"do":"resume","offset":7},{"do":"keep"},{"do":"refuse","code":"not-allowed","message":"no","retry":false}]}"#[..]
    );
    let get = Request::Get(Get {
        path: "/bob/x".parse().unwrap(),
        offset: 0,
        sha256: None,
        length: None,
        preview: false,
    });
    assert_eq!(frame(&get)[HEADER..], br#"{"type":"get","path":"/bob/x"}"#[..]);
    let shown = Get { preview: true, ..Get::whole("x".parse().unwrap()) };
    assert_eq!(frame(&Request::Get(shown))[HEADER..], br#"{"type":"get","path":"x","preview":true}"#[..]);
    let list = Request::List(List {
        path: "d".parse().unwrap(),
        recursive: true,
        after: Some("a/b".into()),
        limit: 9,
        etags: false,
        since: None,
    });
    assert_eq!(
        frame(&list)[HEADER..],
        br#"{"type":"list","path":"d","recursive":true,"after":"a/b","limit":9}"#[..]
    );
    let make = Request::MakeDirectory(MakeDirectory {
        path: "d".parse().unwrap(),
        mtime: Some(1),
        if_absent: false,
    });
    assert_eq!(frame(&make)[HEADER..], br#"{"type":"make-directory","path":"d","mtime":1}"#[..]);
    let link = Request::Link(Link { path: "l".parse().unwrap(), target: "../x".into(), mtime: None });
    assert_eq!(frame(&link)[HEADER..], br#"{"type":"link","path":"l","target":"../x"}"#[..]);
    let remove = Request::Remove(Remove { path: "d".parse().unwrap(), recursive: true, if_match: None });
    assert_eq!(frame(&remove)[HEADER..], br#"{"type":"remove","path":"d","recursive":true}"#[..]);
    let part = Part { size: 3, sha256: Digest::of(b"abc") };
    assert_eq!(
        serde_json::to_string(&part).unwrap(),
        r#"{"size":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}"#
    );
}

/// Golden bytes of what a content shared among connections needs.
#[test]
fn slices_are_pinned() {
    let hello = Request::Hello(Hello { versions: vec![1], agent: "t".into(), features: vec![SLICES.into()] });
    assert_eq!(
        frame(&hello)[HEADER..],
        br#"{"type":"hello","versions":[1],"agent":"t","features":["slices"]}"#[..]
    );
    let get = Request::Get(Get {
        path: "x".parse().unwrap(),
        offset: 9,
        sha256: None,
        length: Some(7),
        preview: false,
    });
    assert_eq!(frame(&get)[HEADER..], br#"{"type":"get","path":"x","offset":9,"length":7}"#[..]);
    let slice = Request::Slice(Slice { key: u64::MAX, offset: 1_048_576, length: 5 });
    assert_eq!(
        frame(&slice)[HEADER..],
        br#"{"type":"slice","key":18446744073709551615,"offset":1048576,"length":5}"#[..]
    );
    let turn = Turn::Turn { offset: 2_097_152 };
    assert_eq!(frame(&turn)[HEADER..], br#"{"type":"turn","offset":2097152}"#[..]);
    assert!(decode::<Trailer>(&frame(&turn)[HEADER..]).is_err());
    let put = br#"{"type":"put","path":"x","body":"stream","size":9,"key":7}"#;
    assert!(matches!(decode_request(put).unwrap(), Request::Put(put) if put.key == Some(7)));
    assert_eq!((SLICE, SLICES_AHEAD), (1_048_576, 16));
}

/// Golden bytes of what acting on a condition needs.
#[test]
fn conditions_are_pinned() {
    let list = List { etags: true, since: Some("7-3".into()), ..List::of("d".parse().unwrap()) };
    assert_eq!(
        frame(&Request::List(list))[HEADER..],
        br#"{"type":"list","path":"d","etags":true,"since":"7-3"}"#[..]
    );
    let entry = Entry {
        name: "a".into(),
        kind: EntryKind::Directory,
        size: 0,
        mtime: 1,
        executable: false,
        sha256: None,
        target: None,
        by: None,
        etag: Some("c0ffee".into()),
    };
    let entries =
        Reply::Entries { entries: vec![entry], more: false, state: Some("7-4".into()), changed: true };
    assert_eq!(
        frame(&entries)[HEADER..],
        br#"{"type":"entries","entries":[{"name":"a","kind":"directory","mtime":1,"etag":"c0ffee"}],"more":false,"state":"7-4","changed":true}"#[..]
    );
    let if_match = Some("c0ffee".into());
    let remove = Request::Remove(Remove { path: "a".parse().unwrap(), recursive: false, if_match });
    assert_eq!(frame(&remove)[HEADER..], br#"{"type":"remove","path":"a","if_match":"c0ffee"}"#[..]);
    assert_eq!(FEATURES, ["slices", "working", "conditions", "absence"]);
}

/// Golden bytes of what asking for a free place needs.
#[test]
fn absence_is_pinned() {
    let path = || "d".parse().unwrap();
    let make = Request::MakeDirectory(MakeDirectory { path: path(), mtime: None, if_absent: true });
    assert_eq!(frame(&make)[HEADER..], br#"{"type":"make-directory","path":"d","if_absent":true}"#[..]);
    let made = Reply::Made { etag: "c0ffee".into() };
    assert_eq!(frame(&made)[HEADER..], br#"{"type":"made","etag":"c0ffee"}"#[..]);
    let plain = Transplant::new("a".parse().unwrap(), path());
    assert_eq!(frame(&Request::Move(plain.clone()))[HEADER..], br#"{"type":"move","from":"a","to":"d"}"#[..]);
    let careful = Transplant { if_absent: true, exact: true, ..plain };
    assert_eq!(
        frame(&Request::Copy(careful))[HEADER..],
        br#"{"type":"copy","from":"a","to":"d","if_absent":true,"exact":true}"#[..]
    );
}

#[test]
fn a_sign_of_work_is_pinned() {
    let working = Reply::Working { entries: 70_000 };
    assert_eq!(frame(&working)[HEADER..], br#"{"type":"working","entries":70000}"#[..]);
    assert_eq!(WORKING, "working");
}

#[test]
fn every_request_type_is_known_to_the_decoder() {
    for kind in REQUESTS {
        let error = decode_request(
            format!(r#"{{"type":"{kind}","path":5,"csr":5,"versions":5,"files":5,"from":5,"key":"x"}}"#)
                .as_bytes(),
        );
        if let Err(error) = error {
            assert_eq!(error.code, ErrorCode::BadRequest, "{kind}");
        }
    }
    let unknown = decode_request(br#"{"type":"teleport"}"#).unwrap_err();
    assert_eq!(unknown.code, ErrorCode::UnknownRequest);
    assert_eq!(decode_request(b"{").unwrap_err().code, ErrorCode::BadRequest);
    let hostile = decode_request(br#"{"type":"get","path":"../x"}"#).unwrap_err();
    assert_eq!(hostile.code, ErrorCode::NameNotAllowed);
    let planned =
        decode_request(br#"{"type":"plan","files":[{"path":"a","size":1},{"path":"b/..","size":1}]}"#);
    assert_eq!(planned.unwrap_err().code, ErrorCode::NameNotAllowed);
    assert_eq!(decode_request(br#"["whoami"]"#).unwrap_err().code, ErrorCode::BadRequest);
}

#[test]
fn unknown_fields_and_codes_are_tolerated() {
    assert_eq!(decode_request(br#"{"type":"whoami","later":{"x":1}}"#).unwrap(), Request::Whoami(Whoami {}));
    let reply: Reply = decode(br#"{"type":"error","code":"too-hot","message":"m","retry":true}"#).unwrap();
    assert_eq!(reply, Reply::Error(WireError { code: ErrorCode::Unknown, message: "m".into(), retry: true }));
}

#[test]
fn a_message_over_the_limit_is_refused_and_leaves_no_trace() {
    let mut out = b"before".to_vec();
    let renew = Request::Renew(Renew { csr: "x".repeat(MAX_CONTROL) });
    assert!(matches!(encode(&renew, &mut out), Err(MessageError::Frame(_))));
    assert_eq!(out, b"before");
}

proptest! {
    #[test]
    fn garbage_is_an_error_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode_request(&bytes);
        let _ = decode::<Reply>(&bytes);
        let _ = decode::<Trailer>(&bytes);
    }

    #[test]
    fn requests_with_any_text_survive_the_wire(csr in ".*") {
        let request = Request::Renew(Renew { csr });
        if let Ok(()) = encode(&request, &mut Vec::new()) {
            let bytes = frame(&request);
            let header = Header::decode(bytes[..HEADER].try_into().unwrap()).unwrap();
            prop_assert_eq!(header.length(), bytes.len() - HEADER);
            prop_assert_eq!(decode_request(&bytes[HEADER..]).unwrap(), request);
        }
    }
}
