use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use hsmsign::{
    error::{Error, Result, bad_input, failed},
    policy::Caller,
    request::{Request, SignedRequest, error_line},
    signer::{Lane, Signer},
};

use super::{
    ended::Ended,
    stdio::{Lines, Output},
};

/// How many lines one worker takes in one turn, where as many are at hand.
const BATCH: usize = 64;

/// A request a line in, an answer a line out, in order; flushed whenever no input is waiting.
///
/// Three workers take turns: while one waits for the token, another has composed the next requests, and the third writes its
/// answers, so that the token is not kept waiting where one of them waits for the log or a processor. Reading and composing are
/// one turn, so that nonces increase in the order of the lines. This thread computes what is done in software. The first turn
/// it does alone: a process that has but one thread loads a token's module in half the time.
pub fn sign(signer: &Signer) -> Result<ExitCode> {
    let input = Mutex::new(Lines::new());
    let answers = Answers::new();
    let caller = Caller::this_process();
    let ended = Ended::default();
    // Answers whether there may be more.
    let turn = |lane: Option<&Lane>| -> Result<bool> {
        let mut reading = lock(&input);
        if ended.is_so() {
            return Ok(false);
        }
        let lines = take(&mut reading)?;
        if lines.is_empty() && reading.has_ended() {
            return Ok(false);
        }
        let place = answers.place(lines.len(), reading.has_line());
        let mut requests = Vec::with_capacity(lines.len());
        let refusals: Vec<_> = lines
            .into_iter()
            .map(|line| line.map(|request| requests.push(request)).err())
            .collect();
        let mut signed = signer.sign_batch(&requests, &caller, lane, || drop(reading));
        if lane.is_none() {
            // Later ones are given out while their lines are written: then it is known whether that can be done.
            hold_back_unless_settled(signer, &mut signed);
        }
        let mut signed = signed.into_iter().zip(&requests);
        let told: Vec<_> = refusals
            .into_iter()
            .map(|refusal| match (refusal, &mut signed) {
                (Some(refusal), _) => Err(refusal),
                (None, signed) => match signed.next() {
                    Some((Ok(signed), request)) => Ok(signed.to_line(request.id.as_ref())),
                    Some((Err(error), request)) => Err((request.id.clone(), error)),
                    None => Err((None, failed("an answer was lost"))),
                },
            })
            .collect();
        for (_, refusal) in told.iter().filter_map(|told| told.as_ref().err()) {
            ended.by(refusal, signer.pin_missed(refusal.code()));
        }
        Ok(answers.put(place, told)? && !ended.is_so())
    };
    if turn(None)? {
        let (lane, work) = Lane::new();
        let worker = |lane: Lane| -> Result<()> {
            while turn(Some(&lane))? {}
            Ok(())
        };
        thread::scope(|scope| {
            // As many as the system gives.
            let spawn = |lane| thread::Builder::new().spawn_scoped(scope, || worker(lane));
            let workers = [lane.clone(), lane.clone(), lane].map(spawn);
            if workers.iter().all(Result::is_err) {
                while turn(None)? {}
            }
            signer.serve(work);
            workers.into_iter().flatten().try_for_each(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(failed("a worker ended in the middle")))
            })
        })?;
    }
    let (answered, code) = answers.end()?;
    signer.settle(true)?;
    ended.told(Ok(code), answered)
}

/// Gives the first signatures of a process out only where the log has them: a process a line would sign without it.
fn hold_back_unless_settled(signer: &Signer, signed: &mut [Result<SignedRequest>]) {
    if let Err(unwritten) = signer.settle(false) {
        for done in signed.iter_mut().filter(|done| done.is_ok()) {
            *done = Err(unwritten.clone());
        }
    }
}

/// The next lines: waits for one, and takes more that are at hand. Blank ones are left out.
fn take(input: &mut Lines) -> Result<Vec<Result<Request, Refusal>>> {
    let mut lines = Vec::new();
    while let Some(line) = input.next()? {
        match line {
            Ok(line) if line.trim_ascii().is_empty() => {}
            Ok(line) => lines.push(request(line)),
            Err(error) => lines.push(Err((None, error))),
        }
        if lines.len() >= BATCH || !input.has_line() {
            break;
        }
    }
    Ok(lines)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers on their way out, put back into the order of their lines.
struct Answers(Mutex<Waiting>);

struct Waiting {
    output: Output,
    /// Whether a line is at hand that has no place yet.
    more: bool,
    /// The place that the next line gets.
    next: u64,
    /// The place of the first answer that is not written yet.
    first: u64,
    /// Answers that came before their turn, by place.
    early: BTreeMap<u64, String>,
}

impl Waiting {
    /// Writes what is held back where nothing else is at hand. Answers whether anybody still reads.
    fn flush_if_idle(&mut self) -> Result<bool> {
        if self.first == self.next && !self.more {
            self.output.flush()
        } else {
            Ok(!self.output.gone)
        }
    }
}

impl Answers {
    fn new() -> Self {
        Self(Mutex::new(Waiting {
            output: Output::new(),
            more: false,
            next: 0,
            first: 0,
            early: BTreeMap::new(),
        }))
    }

    /// The place of lines that were just read; asked for in their order. `more` says whether another line is at hand
    /// already: where it is, writing can wait for its answer.
    fn place(&self, lines: usize, more: bool) -> u64 {
        let mut waiting = lock(&self.0);
        waiting.more = more;
        waiting.next += lines as u64;
        waiting.next - lines as u64
    }

    /// Takes answers, and writes what is next. Where every line that was read is answered, nothing is held back.
    /// Answers whether anybody still reads.
    fn put(&self, place: u64, answers: Vec<Result<String, Refusal>>) -> Result<bool> {
        let mut waiting = lock(&self.0);
        for (place, answer) in (place..).zip(answers) {
            let line = answer.unwrap_or_else(|(id, error)| {
                waiting.output.failed = true;
                error_line(id.as_ref(), &error)
            });
            waiting.early.insert(place, line);
        }
        loop {
            let first = waiting.first;
            let Some(line) = waiting.early.remove(&first) else {
                break;
            };
            waiting.output.push(&line)?;
            waiting.first += 1;
        }
        waiting.flush_if_idle()
    }

    /// How many there were, and how it went.
    fn end(self) -> Result<(u64, ExitCode)> {
        let waiting = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((waiting.first, waiting.output.end()?))
    }
}

type Refusal = (Option<hsmsign::json::Json>, Error);

fn request(line: &[u8]) -> Result<Request, Refusal> {
    let text = std::str::from_utf8(line).map_err(|_| {
        (
            None,
            bad_input("the line is not UTF-8").fix("send a body that is no text as body_base64"),
        )
    })?;
    Request::parse_line(text)
}
