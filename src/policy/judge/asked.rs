//! A request as the rules of all files see it: what is read of it is read once.

use std::{
    cell::{Cell, OnceCell},
    ops::Deref,
};

use super::{endpoint, shown_path};
use crate::{
    glob::fits,
    policy::subject::{Bound, Fields, Subject},
};

/// A request that is asked about.
pub(in crate::policy) struct Asked<'r> {
    subject: &'r dyn Subject,
    bound: OnceCell<Bound>,
    fields: OnceCell<Fields<'r>>,
    /// How often rules asked for the fields.
    looks: Cell<usize>,
}

impl<'r> Asked<'r> {
    pub fn new(subject: &'r dyn Subject) -> Self {
        Self {
            subject,
            bound: OnceCell::new(),
            fields: OnceCell::new(),
            looks: Cell::new(0),
        }
    }

    /// What the signature binds.
    pub fn bound(&self) -> Bound {
        *self.bound.get_or_init(|| self.subject.bound())
    }

    /// Has it be known what the signature binds.
    pub(super) fn binds(&self, bound: Bound) {
        debug_assert_eq!(bound, self.bound());
        self.bound.get_or_init(|| bound);
    }

    /// The fields.
    pub fn fields(&self) -> &Fields<'r> {
        self.looks.set(self.looks.get() + 1);
        self.fields.get_or_init(|| self.subject.fields())
    }

    /// Whether each path that it may go to fits one of the patterns.
    pub fn is_among<'p>(&self, patterns: impl Iterator<Item = &'p String> + Clone) -> bool {
        let each = |path: &str| patterns.clone().any(|pattern| fits(pattern, path));
        each(self.plain_path()) && self.other_paths().iter().all(|path| each(path))
    }

    /// Method and path, for a person.
    pub(super) fn endpoint(&self) -> String {
        endpoint(self.subject)
    }

    /// The path, for a person.
    pub(super) fn shown_path(&self) -> String {
        shown_path(self.subject)
    }

    /// How often rules asked for the fields.
    pub(super) const fn looks(&self) -> usize {
        self.looks.get()
    }

    /// The fields, where a rule looked at them.
    pub fn looked_into(&self) -> Option<&Fields<'r>> {
        self.fields.get()
    }
}

impl<'r> Deref for Asked<'r> {
    type Target = dyn Subject + 'r;

    fn deref(&self) -> &Self::Target {
        self.subject
    }
}
