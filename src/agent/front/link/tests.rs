//! Frames with their descriptors, at a worker that takes them slowly, or not, or is gone.

use std::time::Duration;

use rustix::pipe::pipe;

use super::*;
use crate::{
    agent::{frame::Ask, launcher::pair},
    token::Wanted,
};

const SOURCE: Source = Source::Worker(0, 1);

/// What a worker has: its socket, and the pipes that came over it.
struct Far {
    socket: OwnedFd,
    asked: OwnedFd,
    answers: OwnedFd,
}

fn linked(first: &[u8]) -> (Link, Poll, Far) {
    let (ours, socket) = pair().unwrap();
    let poll = Poll::new().unwrap();
    let mut link = Link::new(first.to_vec());
    link.connect(ours, true, &poll, SOURCE).unwrap();
    let mut fds = VecDeque::new();
    assert_eq!(wire::receive(&socket, &mut [0; 8], &mut fds).unwrap(), 1);
    let [asked, answers] = Vec::from(fds).try_into().unwrap();
    (
        link,
        poll,
        Far {
            socket,
            asked,
            answers,
        },
    )
}

/// A descriptor that says which it is.
fn marked(mark: u8) -> OwnedFd {
    let (reading, writing) = pipe().unwrap();
    write(&writing, &[mark]).unwrap();
    reading
}

impl Far {
    /// Takes the descriptors that come with one frame, and answers what they say.
    fn marks(&self) -> Vec<u8> {
        let mut fds = VecDeque::new();
        wire::receive(&self.socket, &mut [0], &mut fds).unwrap();
        let mark = |fd: OwnedFd| {
            let mut mark = [0];
            read(fd, &mut mark).unwrap();
            mark[0]
        };
        fds.into_iter().map(mark).collect()
    }
}

#[test]
fn frames_come_whole_and_in_order_each_with_its_descriptors_however_slowly_they_are_taken() {
    let (mut link, poll, far) = linked(b"first");
    let mut wanted = b"first".to_vec();
    let mut with = Vec::new();
    for id in 0..60 {
        let mark = u8::try_from(id).unwrap();
        // Some are longer than a pipe.
        let message = vec![mark; if id % 7 == 3 { 100_000 } else { 20 }];
        let ask = Ask::Compute {
            place: b"p",
            message: &message,
        };
        let fds = match id % 5 {
            0 => vec![marked(mark)],
            1 => vec![marked(mark), marked(mark + 100)],
            _ => Vec::new(),
        };
        if !fds.is_empty() {
            with.push((
                wanted.len(),
                if fds.len() == 1 {
                    vec![mark]
                } else {
                    vec![mark, mark + 100]
                },
            ));
        }
        link.put(fds, |output| ask.write(id, output));
        ask.write(id, &mut wanted);
        link.flush(&poll).unwrap();
    }
    let mut came = Vec::new();
    let mut due = with.iter().peekable();
    let mut room = [0; 3000];
    while came.len() < wanted.len() {
        let read = read(&far.asked, &mut room).unwrap();
        came.extend_from_slice(&room[..read]);
        // Where the first byte of a frame is there, so is what came with it.
        while let Some((_, marks)) = due.next_if(|(at, _)| *at < came.len()) {
            assert_eq!(&far.marks(), marks);
        }
        link.flush(&poll).unwrap();
    }
    assert!(came == wanted && due.next().is_none());
}

#[test]
fn a_worker_that_takes_nothing_is_waited_for_and_no_longer_than_needed() {
    let (mut link, mut poll, far) = linked(b"");
    let mut ready = Vec::new();
    let mut told = |poll: &mut Poll| {
        poll.wait(Duration::from_millis(20), &mut ready).unwrap();
        ready.iter().any(|ready| ready.write)
    };
    link.put(Vec::new(), |output| output.extend_from_slice(&[7; 300_000]));
    link.flush(&poll).unwrap();
    assert!(!told(&mut poll), "it is full");
    let mut room = vec![0; 300_000];
    let mut came = 0;
    while came < 300_000 {
        came += read(&far.asked, &mut room).unwrap();
        assert_eq!(told(&mut poll), link.waits, "there is room now");
        link.flush(&poll).unwrap();
    }
    assert!(!told(&mut poll), "nothing is to go out");
    // Its answers are waited for all the while.
    Told::Tried(3).write(9, &mut room);
    write(&far.answers, &room[300_000..]).unwrap();
    poll.wait(Duration::from_secs(5), &mut ready).unwrap();
    assert!(ready.iter().any(|ready| ready.read && ready.source == SOURCE));
    let mut answers = Vec::new();
    assert!(link.receive(&mut [0; 64], &mut answers).unwrap());
    assert!(matches!(answers[..], [(9, Told::Tried(3))]));
}

#[test]
fn descriptors_without_number_for_a_worker_that_takes_none_are_an_error_and_no_wait() {
    let (mut link, poll, _far) = linked(b"");
    let given = Some(Wanted::Pin);
    let flushed = (0..4000).find_map(|id| {
        link.put(vec![marked(0)], |output| Ask::Open { given }.write(id, output));
        link.flush(&poll).err()
    });
    assert!(flushed.is_some());
}

#[test]
fn a_worker_that_is_gone_is_told_at_either_end() {
    let (mut link, poll, far) = linked(b"");
    drop(far);
    assert!(link.receive(&mut [0; 8], &mut Vec::new()).is_err());
    link.put(Vec::new(), |output| output.push(1));
    assert!(link.flush(&poll).is_err());
    let (ours, theirs) = pair().unwrap();
    drop(theirs);
    assert!(Link::new(Vec::new()).connect(ours, true, &poll, SOURCE).is_err());
}

#[test]
fn answers_in_pieces_are_read_whole_and_nothing_of_a_passphrase_stays_where_it_lay() {
    let (mut link, _poll, far) = linked(b"");
    let mut bytes = Vec::new();
    for id in 0..3 {
        Told::Done(vec![5; 40]).write(id, &mut bytes);
    }
    let mut answers = Vec::new();
    for piece in bytes.chunks(7) {
        write(&far.answers, piece).unwrap();
        link.receive(&mut [0; 64], &mut answers).unwrap();
    }
    let ids: Vec<_> = answers.iter().map(|(id, _)| *id).collect();
    assert_eq!((ids, link.input.len()), (vec![0, 1, 2], 0));

    let mut buffer = *b"done secret";
    assert_eq!(move_down(&mut buffer, 5), 6);
    assert_eq!(&buffer, b"secret\0\0\0\0\0");
}
