//! Requests that a person is asked about: one question at a time, while everything else goes on.
//!
//! The road is walked twice. The first time it leaves its question here, and nothing is counted or written down. When the
//! person has answered it is walked again, from the start, with the answer at hand. They agreed to what they saw: where the
//! question is another by then, as when the key was given another address, it is asked again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Front,
    flights::{Client, Flight, Work},
    pauses::Pauses,
};
use crate::{
    agent::{
        confirm,
        frame::{Ask, Told},
    },
    ask::Agreed,
    error::{Code, Error, Result},
    home::Home,
    nonce::Nonces,
    policy::Caller,
    request::Request,
    signer::Road,
};

/// How many questions wait behind the one that is asked.
const MOST: usize = 8;
/// How much longer than the person the process may take that asks.
const GRACE: Duration = Duration::from_secs(5);

/// Where the road leaves a question, and finds its answer.
#[derive(Default)]
pub struct Desk(Mutex<OnDesk>);

#[derive(Default)]
struct OnDesk {
    answer: Option<Answer>,
    question: Option<String>,
}

/// What a person said.
pub struct Answer {
    /// The question that they saw.
    pub question: String,
    /// What they said to it, or why they could not be asked.
    pub said: Result<Agreed>,
}

impl Desk {
    /// A road that asks here.
    pub fn road(self: &Arc<Self>, home: &Home) -> Road {
        let desk = Arc::clone(self);
        let ask = move |question| {
            let mut on = desk.0.lock().unwrap_or_else(PoisonError::into_inner);
            match on.answer.take() {
                Some(answer) if answer.question == question || !matches!(answer.said, Ok(Agreed::Yes)) => {
                    answer.said
                }
                _ => {
                    on.question = Some(question);
                    Ok(Agreed::Later)
                }
            }
        };
        Road::new(home, Nonces::held(home)).with_confirm(Box::new(ask))
    }

    /// Puts the answer there for the request that comes next, or none.
    pub fn put(&self, answer: Option<Answer>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = OnDesk {
            answer,
            question: None,
        };
    }

    /// The question that the last request left.
    pub fn take(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .question
            .take()
    }
}

/// A request with its question.
pub struct Question {
    client: Client,
    caller: Caller,
    request: Box<Request>,
    text: String,
    /// Until when it can be answered.
    until: Instant,
}

/// The questions that wait.
#[derive(Default)]
pub struct Questions {
    /// Where the road leaves them.
    pub desk: Arc<Desk>,
    waiting: VecDeque<Question>,
    pauses: Pauses,
    /// The one that is asked: its flight, and until when it can be answered.
    asked: Option<(u64, Instant)>,
}

impl Questions {
    /// How many wait behind the one that is asked.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl Front {
    /// Has a person asked, when it is this question's turn.
    pub(super) fn question(&mut self, client: Client, caller: &Caller, request: Box<Request>, text: String) {
        let question = Question {
            client,
            caller: caller.clone(),
            request,
            text,
            until: self.now + self.config.agent.confirm_timeout(),
        };
        if let Some(error) = self.paused(&question) {
            return self.answered(question, Err(error));
        }
        if self.questions.waiting.len() >= MOST {
            let error = Error::new(
                Code::Denied,
                format!("a person is to be asked, and {MOST} questions wait for them already"),
            )
            .fix("ask again when they are answered");
            return self.answered(question, Err(error));
        }
        self.questions.waiting.push_back(question);
        self.ask_next();
    }

    /// Why this question may not be asked yet.
    fn paused(&self, question: &Question) -> Option<Error> {
        let key = question.request.key.as_ref()?;
        self.questions.pauses.against(key, &question.caller, self.now)
    }

    fn ask_next(&mut self) {
        while self.questions.asked.is_none() {
            let Some(question) = self.questions.waiting.pop_front() else {
                return;
            };
            // One before it may have been refused meanwhile.
            if let Some(error) = self.paused(&question) {
                self.answered(question, Err(error));
                continue;
            }
            let found = self
                .workers
                .iter()
                .position(|worker| worker.token == confirm::NAME);
            let number = found.unwrap_or_else(|| {
                self.workers.push(super::Worker::new(confirm::NAME.to_owned()));
                self.workers.len() - 1
            });
            self.workers[number].forget_failures();
            if let Err(error) = self.start(number) {
                self.answered(question, Err(error));
                continue;
            }
            let until = question.until;
            let seconds = until.saturating_duration_since(self.now).as_secs().max(1);
            let text = question.text.clone();
            let mut flight = self.flight(question.client, None, Work::Question(Box::new(question)));
            flight.worker = Some(number);
            flight.told = true;
            let id = self.flights.put(flight);
            self.questions.asked = Some((id, until));
            let ask = Ask::Question {
                seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
                text: text.as_bytes(),
            };
            let now = self.now;
            self.workers[number].ask(id, &ask, Vec::new(), now);
        }
    }

    /// The process that asks has answered, or is gone.
    pub(super) fn person_said(&mut self, flight: Flight, told: Result<Told>) {
        self.questions.asked = None;
        if let Some(number) = flight.worker {
            self.workers[number].stop(&mut self.launcher);
        }
        if let Work::Question(question) = flight.work {
            let said = match told {
                Ok(Told::Done(word)) => Ok(confirm::said(&word)),
                Ok(Told::Refused(error)) => Err(error),
                Ok(_) => Ok(Agreed::No),
                Err(error) => Err(Error::new(
                    Code::Denied,
                    format!("a person is to be asked, and the process that asks ended: {error}"),
                )
                .fix("send the request again")),
            };
            if let (Ok(said), Some(key)) = (&said, &question.request.key) {
                let pauses = &mut self.questions.pauses;
                pauses.came_out(key, &question.caller, *said, self.now);
            }
            self.answered(*question, said);
        }
        self.ask_next();
    }

    /// Walks the road of a request again, with what the person said.
    fn answered(&mut self, question: Question, said: Result<Agreed>) {
        let Question {
            client,
            caller,
            request,
            text,
            ..
        } = question;
        let answer = Answer { question: text, said };
        self.sign_as(client, &caller, request, Some(answer));
    }

    /// Closes questions that nobody answers in time, and those whose clients are gone.
    pub(super) fn close_questions(&mut self) {
        if let Some((id, until)) = self.questions.asked {
            let flight = self.flights.get(id).map(|flight| flight.client);
            let gone = flight.is_none_or(|client| !self.is_there(client));
            if gone || until + GRACE < self.now {
                self.close_asked();
            }
        }
        let waiting = std::mem::take(&mut self.questions.waiting);
        for question in waiting {
            if !self.is_there(question.client) || question.until <= self.now {
                self.answered(question, Ok(Agreed::Silent));
            } else {
                self.questions.waiting.push_back(question);
            }
        }
        self.ask_next();
    }

    /// Closes all questions, since the agent ends.
    pub(super) fn drop_questions(&mut self) {
        for question in std::mem::take(&mut self.questions.waiting) {
            self.answered(question, Ok(Agreed::Silent));
        }
        self.close_asked();
    }

    fn close_asked(&mut self) {
        let Some((id, _)) = self.questions.asked.take() else {
            return;
        };
        if let Some(flight) = self.flights.take(id) {
            self.person_said(flight, Ok(Told::Done(b"silent".to_vec())));
        }
    }

    fn is_there(&mut self, client: Client) -> bool {
        self.client(client.index)
            .is_some_and(|there| there.generation == client.generation)
    }
}
