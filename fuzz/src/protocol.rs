//! The agent's protocols: lines of clients, and frames between it and its workers.
//!
//! An input that begins with a NUL is frames, any other is lines.

use hsmsign::{
    agent::{
        asked::{self, Asked},
        frame::{self, Ask, Told},
    },
    json::Json,
    request::{Request, error_line},
};

use super::told::{PASSPHRASE, told};

/// Runs one input.
pub fn run(data: &[u8]) {
    match data.split_first() {
        Some((0, frames)) => {
            asks(frames);
            answers(frames.to_vec());
        }
        _ => data.split(|&byte| byte == b'\n').for_each(line),
    }
}

fn line(line: &[u8]) {
    if line
        .windows(PASSPHRASE.len())
        .any(|part| part == PASSPHRASE.as_bytes())
    {
        return;
    }
    let has = |name: &str| {
        let read = std::str::from_utf8(line)
            .ok()
            .and_then(|text| Json::parse(text).ok());
        read.is_some_and(|line| line.get(name).is_some())
    };
    match asked::read(line) {
        Err((id, error)) => {
            told(&error);
            let answer = error_line(id.as_ref(), &error);
            assert!(!answer.contains('\n'), "{answer}");
            let answer = Json::parse(&answer).unwrap();
            assert_eq!(answer.get("id"), id.as_ref());
        }
        Ok(Asked::Sign(request)) => {
            assert_eq!(has("op"), request.explain, "{}", String::from_utf8_lossy(line));
            assert!(!has("hmac"));
            is_read_again(&request);
        }
        Ok(Asked::Look(_, request)) => {
            assert!(has("op") && !has("hmac"));
            is_read_again(&request);
        }
        Ok(Asked::Hmac(hmac)) => {
            assert!(has("hmac") && !has("op"));
            assert!(hmac.message.len() <= line.len());
        }
        Ok(Asked::Op(op)) => {
            assert!(has("op"));
            assert!(op.arguments.iter().all(|(name, _)| name != "op" && name != "id"));
        }
    }
}

fn is_read_again(request: &Request) {
    let written = request.to_line();
    assert!(!written.contains('\n'), "{written}");
    let again = Request::parse_line(&written).unwrap_or_else(|(_, error)| panic!("{error}: {written}"));
    assert_eq!(again.to_line(), written);
}

/// What a worker reads: what is understood is written and understood again the same.
fn asks(mut bytes: &[u8]) {
    while let Ok(Some(length)) = frame::first(bytes) {
        let (whole, rest) = bytes.split_at(length);
        if let Ok((id, ask)) = frame::read_ask(whole) {
            let mut written = Vec::new();
            ask.write(id, &mut written);
            let (again, same) = frame::read_ask(&written).unwrap();
            assert_eq!((again, format!("{same:?}")), (id, format!("{ask:?}")));
            if let Ask::Compute { place, .. } | Ask::Data { place } = ask
                && let Ok((key, algorithm)) = frame::read_place(place)
            {
                let place = frame::place(&key, algorithm).unwrap();
                assert_eq!(frame::read_place(&place).unwrap(), (key, algorithm));
            }
        }
        bytes = rest;
    }
}

/// What the front reads of a worker.
fn answers(mut bytes: Vec<u8>) {
    let mut done = 0;
    while let Ok(Some(length)) = frame::first(&bytes[done..]) {
        if let Ok((id, told)) = frame::read_told(&mut bytes[done..done + length]) {
            let mut written = Vec::new();
            told.write(id, &mut written);
            let (again, same) = frame::read_told(&mut written).unwrap();
            assert_eq!(again, id);
            match (told, same) {
                (Told::Done(one), Told::Done(other)) => assert_eq!(one, other),
                (Told::Data(one), Told::Data(other)) => assert_eq!(one.expose(), other.expose()),
                (Told::Tried(one), Told::Tried(other)) => assert_eq!(one, other),
                (Told::Refused(one), Told::Refused(other)) | (Told::Without(one), Told::Without(other)) => {
                    assert_eq!((one.code(), one.message()), (other.code(), other.message()));
                }
                (one, other) => panic!("{one:?} became {other:?}"),
            }
        }
        done += length;
    }
}
