//! What an attack works with, and what it comes to.

use cryptoki_sys::*;

use super::{
    super::{
        codes::Refused,
        find, ladder,
        module::{Answer, Module, ObjectHandle, SessionHandle},
        pair,
        template::Attribute,
    },
    derive, wrap,
};
use crate::{
    secret::Secret,
    token::{
        SignInput,
        extraction::{Evidence, MacEvidence, Verdict},
    },
};

/// Room for a value or a wrapped key.
pub(super) const ROOM: usize = 4096;

/// Where an RSA key has its secret.
const RSA: [CK_ATTRIBUTE_TYPE; 6] = [
    CKA_PRIVATE_EXPONENT,
    CKA_PRIME_1,
    CKA_PRIME_2,
    CKA_EXPONENT_1,
    CKA_EXPONENT_2,
    CKA_COEFFICIENT,
];

/// A token that is logged in, with a key to get at.
pub(super) struct Bench<'a> {
    pub module: &'a Module,
    pub slot: CK_SLOT_ID,
    /// The attack's own session: what it makes ends with it.
    pub session: SessionHandle,
    pub victim: ObjectHandle,
    /// How the victim is known when it comes out.
    pub evidence: &'a Evidence,
    /// The victim's value, where it is a MAC key that was made for this.
    pub value: Option<&'a Secret>,
    /// The mechanisms that the token claims.
    pub claimed: &'a [CK_MECHANISM_TYPE],
}

impl Bench<'_> {
    /// Works in one more session, since a refused operation may stay active in it.
    pub fn aside<T>(&self, work: impl FnOnce(SessionHandle) -> Answer<T>) -> Answer<T> {
        let session = self.module.open_session(self.slot, true)?;
        let done = work(session);
        let _ = self.module.close_session(session);
        done
    }

    /// What a refusal means: that the token has no such thing, or that it guards the key.
    pub fn refused(&self, refused: Refused, mechanism: Option<CK_MECHANISM_TYPE>) -> Outcome {
        let claimed = mechanism.is_none_or(|mechanism| self.claimed.contains(&mechanism));
        let absent = match refused.code {
            CKR_FUNCTION_NOT_SUPPORTED => true,
            CKR_MECHANISM_INVALID | CKR_MECHANISM_PARAM_INVALID => !claimed,
            _ => false,
        };
        let verdict = if absent {
            Verdict::NotApplicable
        } else {
            Verdict::Resisted
        };
        Outcome::new(verdict, refused.to_string())
    }

    /// A secret key of this session with a value of ours.
    pub fn known_key(
        &self,
        kind: CK_KEY_TYPE,
        value: &[u8],
        flags: &[CK_ATTRIBUTE_TYPE],
    ) -> Answer<ObjectHandle> {
        let (class, kind) = ([CKO_SECRET_KEY], [kind]);
        let mut template = vec![
            Attribute::numbers(CKA_CLASS, &class),
            Attribute::numbers(CKA_KEY_TYPE, &kind),
            Attribute::flag(CKA_TOKEN, false),
            Attribute::bytes(CKA_VALUE, value),
        ];
        template.extend(flags.iter().map(|&flag| Attribute::flag(flag, true)));
        self.module.create_object(self.session, &template)
    }

    /// What a flag of an object is now.
    pub fn flag(&self, object: ObjectHandle, kind: CK_ATTRIBUTE_TYPE) -> Option<bool> {
        let read = find::read(self.module, self.session, object, kind).ok()??;
        (read.len() == 1).then(|| read[0] != CK_FALSE)
    }

    /// A secret attribute of an object, where it is given out.
    pub fn value_of(&self, object: ObjectHandle, kind: CK_ATTRIBUTE_TYPE) -> Option<Secret> {
        let mut value = Secret::with_capacity(ROOM).ok()?;
        let read = self
            .module
            .read_attribute(self.session, object, kind, value.spare_mut());
        value.grow(read.ok()??);
        (!value.is_empty()).then_some(value)
    }

    /// The attributes in which a key like the victim has its secret.
    pub fn secrets(&self) -> &'static [CK_ATTRIBUTE_TYPE] {
        match self.evidence {
            Evidence::Public(public) if public.algorithm().is_rsa() => &RSA,
            _ => &[CKA_VALUE],
        }
    }

    /// Whether the victim can be read out of an object.
    pub fn reads(&self, object: ObjectHandle) -> bool {
        self.secrets().iter().any(|&kind| {
            self.value_of(object, kind)
                .is_some_and(|value| self.evidence.is_in(value.expose()))
        })
    }

    /// The evidence of a MAC key; of a private key none, and what is for MAC keys alone finds nothing to try.
    pub fn mac(&self) -> Result<&MacEvidence, Outcome> {
        match self.evidence {
            Evidence::Mac(mac) => Ok(mac),
            Evidence::Public(_) => Err(Outcome::new(Verdict::NotApplicable, "it is no MAC key")),
        }
    }

    /// Whether an object still signs as the victim did.
    pub fn signs(&self, object: ObjectHandle) -> bool {
        match self.evidence {
            Evidence::Mac(evidence) => {
                let mut mac = [0; 64];
                let mechanism = ladder::mechanism(evidence.algorithm);
                let made = self.aside(|session| {
                    self.module
                        .sign(session, mechanism, object, &evidence.message, &mut mac)
                });
                made.is_ok_and(|len| mac.get(..len) == Some(&evidence.mac[..]))
            }
            Evidence::Public(public) => {
                let Ok(session) = self.module.open_session(self.slot, true) else {
                    return false;
                };
                let message = SignInput::Message(b"message");
                let made = pair::sign(self.module, session, object, public.algorithm(), message);
                let _ = self.module.close_session(session);
                made.is_ok_and(|signature| public.verifies(b"message", &signature))
            }
        }
    }

    /// Whether the victim comes out of an object that was made of it: read, else wrapped.
    pub fn harvest(&self, object: ObjectHandle, made: &str) -> Outcome {
        if self.reads(object) {
            return Outcome::new(Verdict::Leaked, format!("{made}, and its value was read"));
        }
        let wrapped = wrap::under_aes(self, object);
        if wrapped.verdict == Verdict::Leaked {
            return Outcome::new(Verdict::Leaked, format!("{made}; {}", wrapped.what));
        }
        if object != self.victim && derive::in_pieces(self, object) {
            return Outcome::new(Verdict::Leaked, derive::in_pieces_words(made));
        }
        Outcome::new(Verdict::Weakened, format!("{made}; its value did not come out"))
    }
}

/// What an attack, or one form of it, came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub verdict: Verdict,
    pub what: String,
}

impl Outcome {
    pub fn new(verdict: Verdict, what: impl Into<String>) -> Self {
        Self {
            verdict,
            what: what.into(),
        }
    }

    /// The worst of several forms, with the words of the first few that are as bad; of a leak, one form is enough.
    pub fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        let mut worst = Self::new(Verdict::NotApplicable, "there is nothing to try");
        let mut words: Vec<String> = Vec::new();
        for one in all {
            if one.verdict > worst.verdict {
                words.clear();
            }
            if one.verdict >= worst.verdict {
                worst.verdict = one.verdict;
                if !words.contains(&one.what) {
                    words.push(one.what);
                }
            }
        }
        words.truncate(if worst.verdict == Verdict::Leaked { 1 } else { 3 });
        if !words.is_empty() {
            worst.what = words.join("; ");
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_form_speaks_and_repeats_nothing() {
        let one = |verdict, what: &str| Outcome::new(verdict, what);
        let worst = Outcome::worst([
            one(Verdict::Resisted, "a"),
            one(Verdict::Weakened, "b"),
            one(Verdict::Weakened, "b"),
            one(Verdict::Weakened, "c"),
            one(Verdict::NotApplicable, "d"),
        ]);
        assert_eq!(worst, one(Verdict::Weakened, "b; c"));
        assert_eq!(Outcome::worst([]).verdict, Verdict::NotApplicable);
    }
}
