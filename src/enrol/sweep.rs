use super::{Enrol, objects, place::label};
use crate::{
    error::{Code, Error, Result},
    home::FileLock,
    keyring::Pending,
    token::ObjectId,
};

impl Enrol {
    /// Finishes what a process left half-done when it ended, on the tokens that can be opened without asking.
    /// Cheap where there is nothing. Answers how many entries of the journal and trials were settled.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn sweep(&self) -> Result<usize> {
        if self.journal.is_empty()? && self.tokens.no_trials()? {
            return Ok(0);
        }
        let Some(_lock) = FileLock::try_acquire(&self.home.state("keyring.lock"))? else {
            return Ok(0);
        };
        self.home.sweep_unfinished();
        let mut settled = 0;
        for pending in self.journal.pending()? {
            let silent = pending
                .objects
                .iter()
                .all(|(token, _)| self.tokens.opens_silently(token));
            if silent && self.settle_pending(&pending).is_ok() {
                settled += 1;
            }
        }
        for mark in self.tokens.cut_off()? {
            if self.tokens.opens_silently(mark.token()) && self.tokens.take_away(&mark).is_ok() {
                settled += 1;
            }
        }
        Ok(settled)
    }

    /// The same under the lock, before a change of keys; what cannot be settled now stays for later.
    pub(super) fn sweep_locked(&self) -> Result<()> {
        for pending in self.journal.pending()? {
            let _later = self.settle_pending(&pending);
        }
        for mark in self.tokens.cut_off()? {
            let _later = self.tokens.take_away(&mark);
        }
        Ok(())
    }

    pub(super) fn settle_pending(&self, pending: &Pending) -> Result<()> {
        let named = match self.keyring.get(&pending.key) {
            Ok(record) => record.pairs().flat_map(|(_, pair)| objects(pair)).collect(),
            Err(error) if error.code() == Code::UnknownKey => Vec::new(),
            Err(error) => return Err(error),
        };
        for object in &pending.objects {
            let (token, id) = object;
            if !named.contains(object) {
                let token = self.tokens.get(token)?;
                if !id.is_cut() {
                    token.sweep(id).map_err(Error::from)?;
                }
                if !self.is_named_cut(object)? {
                    token
                        .sweep_cut(id, &label(&pending.key, "secret"))
                        .map_err(Error::from)?;
                }
                self.tokens.clean_up(&object.0)?;
            }
        }
        self.journal.end(pending)
    }

    /// Whether a record of any key names an object of this token by the beginning of the id.
    fn is_named_cut(&self, (token, id): &(String, ObjectId)) -> Result<bool> {
        for name in self.keyring.names()? {
            let record = self.keyring.get(&name)?;
            let mut objects = record.pairs().flat_map(|(_, pair)| objects(pair));
            if objects.any(|(other, named)| other == *token && id.as_bytes().starts_with(named.as_bytes())) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
