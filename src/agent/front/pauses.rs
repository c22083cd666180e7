//! Pauses between questions: who was not agreed to asks again after a while, so that nobody is asked until they give in.

use std::{
    collections::HashMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    ask::Agreed,
    error::{Code, Error},
    keyring::KeyName,
    policy::{Caller, plain},
};

/// The pause behind the first question that was not agreed to; it doubles.
const FIRST: Duration = Duration::from_secs(30);
/// The longest.
const LONGEST: Duration = Duration::from_secs(600);
/// From how many on all programs of the user wait: one that wants to ask on can be started under another name.
const ALL: u32 = 3;
/// How long after a pause it is remembered how many there were.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The pauses, by key and user.
#[derive(Default)]
pub struct Pauses(HashMap<(KeyName, u32), Pause>);

struct Pause {
    /// How many questions in a row were not agreed to.
    refused: u32,
    until: Instant,
    /// Whose they were, up to [`ALL`].
    programs: Vec<Option<Arc<Path>>>,
}

impl Pauses {
    /// Why no question may come from this caller at this time; none where one may.
    pub fn against(&self, key: &KeyName, caller: &Caller, now: Instant) -> Option<Error> {
        let pause = self.0.get(&(key.clone(), caller.uid))?;
        let left = pause.until.checked_duration_since(now)?;
        let whose = if pause.refused >= ALL {
            format!("{} questions in a row of uid {}", pause.refused, caller.uid)
        } else if pause.programs.contains(&caller.executable) {
            let program = caller.executable.as_ref().map_or_else(
                || "this program".to_owned(),
                |path| plain(&path.to_string_lossy()),
            );
            format!("the last question of {program}, uid {},", caller.uid)
        } else {
            return None;
        };
        let seconds = left.as_secs() + 1;
        Some(
            Error::new(
                Code::Denied,
                format!("a person is to be asked, and {whose} got no yes: the next may come in {seconds} s"),
            )
            .fix("ask then; each question that gets no yes doubles the time, up to ten minutes, and a yes ends it"),
        )
    }

    /// Takes note of what came of a question that a person saw.
    pub fn came_out(&mut self, key: &KeyName, caller: &Caller, said: Agreed, now: Instant) {
        self.0.retain(|_, pause| pause.until + REMEMBERED > now);
        let whose = (key.clone(), caller.uid);
        match said {
            Agreed::Later => {}
            Agreed::Yes => {
                self.0.remove(&whose);
            }
            Agreed::No | Agreed::Silent => {
                let pause = self.0.entry(whose).or_insert_with(|| Pause {
                    refused: 0,
                    until: now,
                    programs: Vec::new(),
                });
                let time = FIRST.saturating_mul(1 << pause.refused.min(10)).min(LONGEST);
                pause.until = now + time;
                pause.refused = pause.refused.saturating_add(1);
                if pause.refused < ALL && !pause.programs.contains(&caller.executable) {
                    pause.programs.push(caller.executable.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str) -> Caller {
        Caller {
            executable: Some(Path::new(name).into()),
            ..Caller::this_process()
        }
    }

    fn left(pauses: &Pauses, key: &KeyName, caller: &Caller, now: Instant) -> Option<String> {
        let error = pauses.against(key, caller, now)?;
        Some(error.message().rsplit(": ").next().unwrap().to_owned())
    }

    #[test]
    fn a_pause_doubles_up_to_ten_minutes_and_a_yes_ends_it() {
        let (mut pauses, mut now) = (Pauses::default(), Instant::now());
        let (key, other): (KeyName, KeyName) = ("kraken".parse().unwrap(), "other".parse().unwrap());
        let bot = program("/usr/bin/bot");
        assert!(pauses.against(&key, &bot, now).is_none());
        for seconds in [30, 60, 120, 240, 480, 600, 600] {
            pauses.came_out(&key, &bot, Agreed::Silent, now);
            let told = left(&pauses, &key, &bot, now + Duration::from_millis(500));
            assert_eq!(told, Some(format!("the next may come in {seconds} s")));
            now += Duration::from_secs(seconds);
            assert!(
                pauses
                    .against(&key, &bot, now - Duration::from_millis(1))
                    .is_some()
            );
            assert!(
                pauses
                    .against(&other, &bot, now - Duration::from_millis(1))
                    .is_none()
            );
            now += Duration::from_millis(1);
            assert!(pauses.against(&key, &bot, now).is_none());
        }
        pauses.came_out(&key, &bot, Agreed::Yes, now);
        pauses.came_out(&key, &bot, Agreed::No, now);
        assert_eq!(
            left(&pauses, &key, &bot, now),
            Some("the next may come in 31 s".to_owned())
        );
        // An hour behind its end a pause is as if it had not been.
        now += FIRST + REMEMBERED;
        pauses.came_out(&key, &bot, Agreed::No, now);
        assert!(
            pauses
                .against(&key, &bot, now + FIRST + Duration::from_millis(1))
                .is_none()
        );
    }

    #[test]
    fn another_program_of_the_user_may_ask_until_three_got_no_yes() {
        let (mut pauses, now) = (Pauses::default(), Instant::now());
        let key: KeyName = "kraken".parse().unwrap();
        let names = ["/tmp/one", "/tmp/two", "/tmp/three", "/tmp/four"].map(program);
        for caller in &names[..3] {
            assert!(pauses.against(&key, caller, now).is_none());
            pauses.came_out(&key, caller, Agreed::No, now);
            assert!(pauses.against(&key, caller, now).is_some());
        }
        let told = pauses.against(&key, &names[3], now).unwrap();
        assert!(told.message().contains("3 questions in a row"), "{told}");
        let somebody = Caller {
            uid: names[3].uid + 1,
            ..names[3].clone()
        };
        assert!(pauses.against(&key, &somebody, now).is_none());
    }
}
