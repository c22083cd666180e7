//! How calls by parts are laid out: which parameters go to the query, a form or JSON, and how they are written there.

use super::{
    file::ParamsFile,
    glob,
    plan::{METHODS, Place},
};
use crate::error::{Result, bad_input};

/// How a list is written in a query or form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lists {
    /// `name=a&name=b`
    Repeat,
    /// `name[]=a&name[]=b`
    RepeatMarked,
    /// `name=[a,b]`
    Brackets,
}

impl Lists {
    fn read(given: Option<&str>) -> Result<Self> {
        Ok(match given {
            None | Some("repeat") => Self::Repeat,
            Some("repeat[]") => Self::RepeatMarked,
            Some("brackets") => Self::Brackets,
            Some(other) => {
                return Err(bad_input(format!("`lists` cannot be {other:?}"))
                    .fix("use \"repeat\", \"repeat[]\" or \"brackets\""));
            }
        })
    }
}

/// How calls by parts are laid out.
#[derive(Debug, Clone)]
pub(crate) struct Params {
    methods: Vec<(&'static str, Vec<Place>)>,
    default: Vec<Place>,
    pub sorted: Vec<Place>,
    pub lists: Lists,
    pub plus_for_space: bool,
    pub empty: Option<String>,
    pub under: Option<String>,
    except: Vec<(Vec<String>, String, Vec<Place>)>,
}

impl Params {
    /// Where the parameters of this method and path go.
    pub(crate) fn places(&self, method: &str, path: &str) -> &[Place] {
        let except = self.except.iter().find(|(methods, pattern, _)| {
            (methods.is_empty() || methods.iter().any(|have| have == method)) && glob::fits(pattern, path)
        });
        if let Some((_, _, places)) = except {
            return places;
        }
        let own = self.methods.iter().find(|(have, _)| *have == method);
        own.map_or(&self.default, |(_, places)| places)
    }

    /// Reads the file's table.
    pub(crate) fn read(file: ParamsFile) -> Result<Self> {
        Self::of(file).map_err(|error| error.within("params"))
    }

    fn of(file: ParamsFile) -> Result<Self> {
        let places = |text: &str| -> Result<Vec<Place>> { text.split('+').map(place).collect() };
        let mut methods = Vec::new();
        let given = [file.get, file.post, file.put, file.delete, file.patch];
        for (method, given) in METHODS.into_iter().zip(given) {
            if let Some(given) = given {
                methods.push((method, places(&given).map_err(|error| error.within(method))?));
            }
        }
        let default = match &file.default {
            Some(default) => places(default).map_err(|error| error.within("default"))?,
            None if methods.len() == METHODS.len() => Vec::new(),
            None => {
                return Err(
                    bad_input("there is no `default`").fix("add default = \"query\", \"form\" or \"json\"")
                );
            }
        };
        let sorted = file
            .sorted
            .iter()
            .map(|name| place(name).map_err(|error| error.within("sorted")))
            .collect::<Result<_>>()?;
        let except = file
            .except
            .into_iter()
            .map(|except| Ok((except.method, except.path, places(&except.place)?)))
            .collect::<Result<_>>()
            .map_err(|error| error.within("except"))?;
        Ok(Self {
            methods,
            default,
            sorted,
            lists: Lists::read(file.lists.as_deref())?,
            plus_for_space: choice("space", file.space.as_deref(), "%20", "+")?,
            empty: file.empty,
            under: file.under,
            except,
        })
    }

    /// Whether some call's parameters go there.
    pub(crate) fn can_be(&self, place: Place) -> bool {
        let all = self.methods.iter().map(|(_, places)| places);
        all.chain([&self.default])
            .chain(self.except.iter().map(|(_, _, places)| places))
            .any(|places| places.contains(&place))
    }
}

fn place(name: &str) -> Result<Place> {
    Ok(match name {
        "query" => Place::Query,
        "form" => Place::Form,
        "json" => Place::Json,
        _ => return Err(bad_input(format!("there is no place {name:?}")).fix("use query, form or json")),
    })
}

fn choice(key: &str, given: Option<&str>, usual: &str, other: &str) -> Result<bool> {
    match given {
        None => Ok(false),
        Some(given) if given == usual => Ok(false),
        Some(given) if given == other => Ok(true),
        Some(given) => {
            Err(bad_input(format!("`{key}` cannot be {given:?}")).fix(format!("use {usual:?} or {other:?}")))
        }
    }
}
