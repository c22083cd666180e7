use std::path::PathBuf;

use super::{KeyName, Keyring, Record};
use crate::{
    close::nearest,
    error::{Code, Error, Result, failed},
    home::{Home, Mark, check_folder, create_folder, list_folder, read_private, remove_file, write_private},
};

const LIMIT: u64 = 1 << 20;

/// A keyring of one JSON file a key, `keys/NAME.json` in the state folder.
#[derive(Debug, Clone)]
pub struct FileKeyring {
    folder: PathBuf,
}

impl FileKeyring {
    /// The keyring of these folders.
    pub fn new(home: &Home) -> Self {
        Self {
            folder: home.state("keys"),
        }
    }

    /// The file of a key.
    pub fn path(&self, name: &KeyName) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn unknown(&self, name: &KeyName) -> Error {
        let error = Error::new(Code::UnknownKey, format!("there is no key named {name}"));
        let names = self.names().unwrap_or_default();
        let close = nearest(name.as_str(), names.iter().map(KeyName::as_str));
        match (close, names.is_empty()) {
            (Some(close), _) => error.fix(format!("did you mean {close}? `hsmsign list` shows all keys")),
            (None, true) => error.fix(format!(
                "import it: hsmsign import --exchange EXCHANGE --key {name}"
            )),
            (None, false) => error.fix("`hsmsign list` shows the keys there are"),
        }
    }
}

impl Keyring for FileKeyring {
    fn get(&self, name: &KeyName) -> Result<Record> {
        let path = self.path(name);
        check_folder(&self.folder)?;
        let bytes = read_private(&path, LIMIT)?.ok_or_else(|| self.unknown(name))?;
        let record = Record::parse(&bytes).map_err(|error| error.within(path.display()))?;
        if record.name != *name {
            // Removing or rotating a copy would take the other key's secret off the token.
            return Err(failed(format!(
                "{} is the record of the key {}",
                path.display(),
                record.name
            ))
            .fix("remove the copied file; a second name for a secret is made by importing it again"));
        }
        Ok(record)
    }

    fn mark(&self, name: &KeyName) -> Result<Option<Mark>> {
        Mark::of(&self.path(name))
    }

    fn contains(&self, name: &KeyName) -> Result<bool> {
        Ok(self.path(name).exists())
    }

    fn put(&self, record: &Record) -> Result<()> {
        create_folder(&self.folder)?;
        let mut text = serde_json::to_vec_pretty(record).map_err(|error| {
            failed(format!(
                "the record of {} cannot be written: {error}",
                record.name
            ))
        })?;
        text.push(b'\n');
        write_private(&self.path(&record.name), &text)
    }

    fn remove(&self, name: &KeyName) -> Result<()> {
        remove_file(&self.path(name))
    }

    fn names(&self) -> Result<Vec<KeyName>> {
        let files = list_folder(&self.folder)?;
        Ok(files
            .iter()
            .filter_map(|file| file.strip_suffix(".json")?.parse().ok())
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::{
        algorithm::{Algorithm, MacAlgorithm},
        keyring::{Pair, VERSION},
    };

    fn record(name: &str) -> Record {
        Record {
            version: VERSION,
            name: name.parse().unwrap(),
            exchange: "kraken".into(),
            algorithm: Algorithm::Mac(MacAlgorithm::HmacSha512),
            encoding: None,
            allow: Vec::new(),
            base_url: None,
            window: None,
            offset_ms: Default::default(),
            current: Pair {
                api_key: None,
                extra: BTreeMap::new(),
                passphrase_macs: BTreeMap::new(),
                created: String::new(),
                copies: Vec::new(),
            },
            previous: None,
            next: None,
        }
    }

    #[test]
    fn records_are_kept_and_a_newer_one_is_refused() {
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap();
        let keyring = FileKeyring::new(&Home::at(folder.path()));
        keyring.put(&record("b")).unwrap();
        keyring.put(&record("a.b")).unwrap();
        assert_eq!(
            keyring
                .names()
                .unwrap()
                .iter()
                .map(KeyName::as_str)
                .collect::<Vec<_>>(),
            ["a.b", "b"]
        );
        assert_eq!(keyring.get(&"b".parse().unwrap()).unwrap().exchange, "kraken");
        let error = keyring.get(&"a".parse().unwrap()).unwrap_err();
        assert_eq!(error.code(), Code::UnknownKey);
        assert!(error.remedy().unwrap().contains("a.b"));
        let path = keyring.path(&"b".parse().unwrap());
        let newer = fs::read_to_string(&path)
            .unwrap()
            .replace("\"version\": 1", "\"version\": 2, \"new\": 1");
        fs::write(&path, newer).unwrap();
        assert!(
            keyring
                .get(&"b".parse().unwrap())
                .unwrap_err()
                .message()
                .contains("version 2")
        );
        fs::copy(keyring.path(&"a.b".parse().unwrap()), &path).unwrap();
        assert!(
            keyring
                .get(&"b".parse().unwrap())
                .unwrap_err()
                .message()
                .contains("the record of the key a.b")
        );
        fs::write(&path, "{").unwrap();
        assert!(
            keyring
                .get(&"b".parse().unwrap())
                .unwrap_err()
                .message()
                .contains("not a key's record")
        );
        keyring.remove(&"b".parse().unwrap()).unwrap();
        assert!(!keyring.contains(&"b".parse().unwrap()).unwrap());
    }
}
