//! The hook for Python: a `sitecustomize`, which every interpreter runs at its start, and the package `hsmsign` beside it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

macro_rules! package {
    ($($name:literal),* $(,)?) => {
        vec![
            ("sitecustomize.py", include_str!("../../clients/python/run/sitecustomize.py")),
            $((concat!("hsmsign/", $name), include_str!(concat!("../../clients/python/src/hsmsign/", $name)))),*
        ]
    };
}

/// The files, by their paths below the folder.
pub(super) fn files() -> Vec<(&'static str, &'static str)> {
    package![
        "__init__.py",
        "_after.py",
        "_async.py",
        "_auth.py",
        "_ccxt.py",
        "_ccxt_async.py",
        "_ccxt_errors.py",
        "_ccxt_own.py",
        "_ccxt_request.py",
        "_compose.py",
        "_counts.py",
        "_errors.py",
        "_forms.py",
        "_guard.py",
        "_hook.py",
        "_keys.py",
        "_libraries.py",
        "_lines.py",
        "_login.py",
        "_mac.py",
        "_macs.py",
        "_placeholder.py",
        "_request.py",
        "_run.py",
        "_signer.py",
        "_wire.py",
        "aiohttp.py",
        "ccxt.py",
        "httpx.py",
        "py.typed",
        "requests.py",
    ]
}

/// PYTHONPATH with the folder first, and what it was before.
pub(super) fn path(folder: &Path) -> OsString {
    let before = std::env::var_os("PYTHONPATH").filter(|value| !value.is_empty());
    let before = before.iter().flat_map(std::env::split_paths);
    let all = std::iter::once(PathBuf::from(folder)).chain(before.filter(|path| path != folder));
    std::env::join_paths(all).unwrap_or_else(|_| folder.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_package_comes_along() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/src/hsmsign");
        let known: Vec<_> = files().into_iter().map(|(path, _)| path.to_owned()).collect();
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                name == "__pycache__" || known.contains(&format!("hsmsign/{name}")),
                "{name}"
            );
        }
    }
}
