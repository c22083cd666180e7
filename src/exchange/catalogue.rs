//! The schemes by name: the built-in ones, and the user's own, whose texts somebody else reads.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Scheme, builtin, builtin_ids, impossible, scheme::is_id};
use crate::{
    close::nearest,
    error::{Code, Error, Result},
    home::ReadScheme,
};

/// A scheme, and its file's text where it is not built in.
type Known = (Arc<Scheme>, Option<Arc<str>>);

/// Schemes, each parsed once.
pub struct Catalogue {
    user: ReadScheme,
    parsed: Mutex<HashMap<String, Known>>,
}

impl Catalogue {
    /// With the user's own behind the built-in ones: a user's file never stands in for a built-in scheme.
    pub fn new(user: ReadScheme) -> Self {
        Self {
            user,
            parsed: Mutex::default(),
        }
    }

    /// The scheme of this id or alias.
    ///
    /// # Errors
    /// `unknown-exchange`, naming what is close; or the file is not a scheme.
    pub fn get(&self, name: &str) -> Result<Arc<Scheme>> {
        self.known(name).map(|(scheme, _)| scheme)
    }

    /// The text of a user's own scheme, as it was parsed; none for one that is built in.
    ///
    /// # Errors
    /// As [`Catalogue::get`].
    pub fn own_text(&self, name: &str) -> Result<Option<Arc<str>>> {
        self.known(name).map(|(_, text)| text)
    }

    fn known(&self, name: &str) -> Result<Known> {
        let mut parsed = self.parsed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = parsed.get(name) {
            return Ok(known.clone());
        }
        let (scheme, text) = if let Some(text) = builtin(name) {
            (Scheme::parse(text, name)?, None)
        } else if let Some(text) = is_id(name).then(|| (self.user)(name)).transpose()?.flatten() {
            let origin = format!("schemes/{name}.toml");
            let scheme = Scheme::parse(&text, &origin)?;
            if scheme.id() != name {
                return Err(
                    Error::new(Code::BadInput, format!("{origin} has the id {:?}", scheme.id()))
                        .fix("name the file as the id"),
                );
            }
            (scheme, Some(text.into()))
        } else {
            return Err(unknown(name));
        };
        let known = (Arc::new(scheme), text);
        parsed.insert(name.to_owned(), known.clone());
        Ok(known)
    }
}

fn unknown(name: &str) -> Error {
    if let Some(known) = impossible().iter().find(|known| known.id == name) {
        return Error::new(Code::Unsupported, format!("{} {}", known.name, known.why))
            .fix("docs/exchanges.md lists the exchanges that can be signed for, and those that cannot");
    }
    let shown: String = name.chars().take(80).collect();
    let close = nearest(name, builtin_ids().iter().copied());
    let error = Error::new(Code::UnknownExchange, format!("there is no exchange {shown:?}"));
    match close {
        Some(close) => error.fix(format!("did you mean {close}? `hsmsign exchanges` lists all")),
        None => {
            error.fix("`hsmsign exchanges` lists all; docs/adding-an-exchange.md says how to add your own")
        }
    }
}
