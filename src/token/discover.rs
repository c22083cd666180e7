//! Which PKCS #11 modules are on this machine. Files are read and looked for; no module is loaded.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// Libraries looked for by name, with what they are for.
const LIBRARIES: [(&str, &str); 14] = [
    ("softhsm2", "libsofthsm2.so"),
    ("opensc", "opensc-pkcs11.so"),
    ("ykcs11", "libykcs11.so"),
    ("yubihsm", "yubihsm_pkcs11.so"),
    ("tpm2", "libtpm2_pkcs11.so"),
    ("kryoptic", "libkryoptic_pkcs11.so"),
    ("opencryptoki", "libopencryptoki.so"),
    ("nss", "libsoftokn3.so"),
    ("cloudhsm", "libcloudhsm_pkcs11.so"),
    ("luna", "libCryptoki2_64.so"),
    ("ncipher", "libcknfast.so"),
    ("utimaco", "libcs_pkcs11_R3.so"),
    ("google-kms", "libkmsp11.so"),
    ("etoken", "libeTPkcs11.so"),
];
/// The folders below the usual library folders where they are.
const BELOW: [&str; 5] = ["", "pkcs11", "softhsm", "opencryptoki", "ossl-modules"];

/// A module that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its name: that of its p11-kit file, or the usual one.
    pub name: String,
    /// Its library.
    pub path: PathBuf,
    /// The p11-kit file that names it, if one does.
    pub file: Option<PathBuf>,
}

/// The modules of this machine: those that p11-kit knows, the user's first, then known libraries in the usual folders.
/// Each library is told once.
pub fn modules() -> Vec<Known> {
    let mut configured = Vec::new();
    let home = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
    configured.extend(home.map(|home| home.join("pkcs11/modules")));
    configured.extend(["/etc/pkcs11/modules", "/usr/share/p11-kit/modules"].map(PathBuf::from));
    find(&configured, &library_folders())
}

/// The module of this name.
pub fn named(name: &str) -> Option<Known> {
    modules().into_iter().find(|known| known.name == name)
}

fn library_folders() -> Vec<PathBuf> {
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let mut folders: Vec<_> = ["/usr/local/lib", "/usr/lib", "/usr/lib64"]
        .iter()
        .map(PathBuf::from)
        .collect();
    folders.push(Path::new("/usr/lib").join(triplet));
    folders.extend(
        [
            "/opt/cloudhsm/lib",
            "/opt/nfast/toolkits/pkcs11",
            "/usr/safenet/lunaclient/lib",
        ]
        .map(PathBuf::from),
    );
    folders
}

fn find(configured: &[PathBuf], folders: &[PathBuf]) -> Vec<Known> {
    let mut all = Vec::new();
    let mut names = HashSet::new();
    for folder in configured {
        let mut files: Vec<_> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|file| file.path())
            .collect();
        files.sort();
        for file in files
            .into_iter()
            .filter(|file| file.extension().is_some_and(|end| end == "module"))
        {
            let Some(name) = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else {
                continue;
            };
            // The user's file stands for the system's of the same name, also where it turns the module off.
            if !names.insert(name.clone()) {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap_or_default();
            if let Some(path) = library_of(&text).and_then(|library| locate(&library, folders)) {
                all.push(Known {
                    name,
                    path,
                    file: Some(file),
                });
            }
        }
    }
    for (name, library) in LIBRARIES {
        if let Some(path) = locate(Path::new(library), folders) {
            all.push(Known {
                name: name.to_owned(),
                path,
                file: None,
            });
        }
    }
    let mut seen = HashSet::new();
    all.retain(|known| seen.insert(fs::canonicalize(&known.path).unwrap_or_else(|_| known.path.clone())));
    all
}

/// The library that a p11-kit file names. None for a trust store, which holds certificates, or a remote module.
fn library_of(text: &str) -> Option<PathBuf> {
    let value = |wanted: &str| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(name, value)| {
                (name.trim() == wanted)
                    .then(|| value.trim())
                    .filter(|value| !value.is_empty())
            })
    };
    if value("trust-policy") == Some("yes") || value("remote").is_some() {
        return None;
    }
    value("module").map(PathBuf::from)
}

/// An absolute path as it is; a bare name in the usual folders.
fn locate(library: &Path, folders: &[PathBuf]) -> Option<PathBuf> {
    if library.is_absolute() {
        return library.exists().then(|| library.to_owned());
    }
    let places = folders
        .iter()
        .flat_map(|folder| BELOW.iter().map(move |below| folder.join(below)));
    places
        .map(|place| place.join(library))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_modules_come_first_and_each_library_once() {
        let root = tempfile::tempdir().unwrap();
        let make = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        make("lib/pkcs11/opensc-pkcs11.so", "");
        make("lib/softhsm/libsofthsm2.so", "");
        make("lib/pkcs11/p11-kit-trust.so", "");
        make("user/off.module", "# nothing");
        make("system/off.module", "module: opensc-pkcs11.so");
        make("system/card.module", "# a card\nmodule: opensc-pkcs11.so\n");
        make(
            "system/trust.module",
            "module: p11-kit-trust.so\ntrust-policy: yes\n",
        );
        make("system/far.module", "remote: unix:path=/run/x\n");
        make("system/gone.module", "module: /nowhere/x.so\n");
        make("system/notes.txt", "module: opensc-pkcs11.so");
        let at = |path: &str| root.path().join(path);
        let found = find(&[at("user"), at("system")], &[at("lib")]);
        let names: Vec<_> = found.iter().map(|known| known.name.as_str()).collect();
        assert_eq!(names, ["card", "softhsm2"]);
        assert_eq!(found[0].path, at("lib/pkcs11/opensc-pkcs11.so"));
    }
}
