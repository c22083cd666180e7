//! Changing `config.toml`: everything else of the file stays as it is, comments too.

use std::time::Duration;

use toml_edit::{DocumentMut, Item, Table, value};

use super::{Config, LIMIT, TokenConfig, VERSION, check_token_name, text, wrong};
use crate::{
    error::{Result, bad_input},
    home::{FileLock, Home, read_private, write_private},
};

/// How long one change of the file waits for another.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes a token into `config.toml`, keeping everything else of the file as it is, comments too.
///
/// # Errors
/// When a token of that name is there already, or the file cannot be written.
pub fn add_token(home: &Home, name: &str, token: &TokenConfig) -> Result<()> {
    check_token_name(name)?;
    edit(home, |document| {
        let tokens = document.entry("token").or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        let tokens = tokens
            .as_table_mut()
            .ok_or_else(|| bad_input("`token` in config.toml is not a table"))?;
        if tokens.contains_key(name) {
            return Err(bad_input(format!("a token named {name} is set up already"))
                .fix("choose another name with --token, or see `hsmsign token list`"));
        }
        let mut table = Table::new();
        let mut put = |field: &str, text: Option<String>| put_in(&mut table, field, text);
        put(
            "module",
            token.module.as_ref().map(|module| module.display().to_string()),
        );
        put("uri", token.uri.clone());
        put("label", token.label.clone());
        put("serial", token.serial.clone());
        put("module-args", token.module_args.clone());
        put("pin-source", token.pin_source.clone());
        put("piv-pin-source", token.piv_pin_source.clone());
        put(
            "attestation-roots",
            token
                .attestation_roots
                .as_ref()
                .map(|file| file.display().to_string()),
        );
        if let Some(lock) = token.process_lock {
            table["process-lock"] = value(lock);
        }
        if token.yubikey {
            table["yubikey"] = value(true);
        }
        put_in(&mut table, "applet", token.applet.clone());
        put_in(&mut table, "firmware", token.firmware.clone());
        if token.softhsm {
            table["softhsm"] = value(true);
        }
        if token.accept_leaky_token {
            table["accept-leaky-token"] = value(true);
        }
        if !token.environment.is_empty() {
            let mut environment = toml_edit::InlineTable::new();
            for (variable, text) in &token.environment {
                environment.insert(variable, text.as_str().into());
            }
            table["environment"] = value(environment);
        }
        tokens.insert(name, Item::Table(table));
        Ok(())
    })
}

fn put_in(table: &mut Table, field: &str, text: Option<String>) {
    if let Some(text) = text {
        table[field] = value(text);
    }
}

/// Takes a token out of `config.toml`.
///
/// # Errors
/// When the file cannot be written.
pub fn remove_token(home: &Home, name: &str) -> Result<()> {
    edit(home, |document| {
        if let Some(tokens) = document.get_mut("token").and_then(Item::as_table_mut) {
            tokens.remove(name);
        }
        if document.get("default-token").and_then(Item::as_str) == Some(name) {
            document.remove("default-token");
        }
        Ok(())
    })
}

fn edit(home: &Home, change: impl FnOnce(&mut DocumentMut) -> Result<()>) -> Result<()> {
    home.create()?;
    // Two that change the file at once must not lose each other's change.
    let _lock = FileLock::acquire(
        &home.state("config.lock"),
        PATIENCE,
        "another hsmsign process has been changing config.toml",
    )?;
    let path = home.config("config.toml");
    let before = read_private(&path, LIMIT)?
        .map(|bytes| text(bytes, &path))
        .transpose()?
        .unwrap_or_default();
    let mut document: DocumentMut = before.parse().map_err(|error: toml_edit::TomlError| {
        wrong(&before, path.display(), error.span(), error.message())
    })?;
    if !document.contains_key("version") {
        document.insert("version", value(i64::from(VERSION)));
    }
    change(&mut document)?;
    let after = document.to_string();
    Config::parse(&after, "config.toml, as it would be,")?;
    write_private(&path, after.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::error::Code;

    #[test]
    fn tokens_are_added_beside_what_is_there() {
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap();
        let home = Home::at(folder.path());
        assert_eq!(
            Config::load(&home).unwrap().usual_token().unwrap_err().code(),
            Code::TokenMissing
        );
        let token = TokenConfig {
            module: Some("/m.so".into()),
            label: Some("l".into()),
            ..Default::default()
        };
        add_token(&home, "one", &token).unwrap();
        assert_eq!(Config::load(&home).unwrap().usual_token().unwrap(), "one");
        let path = home.config("config.toml");
        let text = format!("# mine\n{}", fs::read_to_string(&path).unwrap());
        write_private(&path, text.as_bytes()).unwrap();
        add_token(&home, "two", &token).unwrap();
        assert!(add_token(&home, "two", &token).is_err());
        assert!(add_token(&home, "a b", &token).is_err());
        assert!(fs::read_to_string(&path).unwrap().starts_with("# mine\n"));
        let config = Config::load(&home).unwrap();
        assert!(config.usual_token().is_err());
        assert_eq!(config.token("two").unwrap().label.as_deref(), Some("l"));
        remove_token(&home, "two").unwrap();
        assert!(Config::load(&home).unwrap().token("two").is_err());
        write_private(&path, b"version = 7\nnew = 1").unwrap();
        assert!(Config::load(&home).unwrap_err().message().contains("version 7"));
        write_private(&path, b"version = 2 # a comment\n").unwrap();
        assert!(Config::load(&home).unwrap_err().message().contains("version 2"));
        write_private(&path, b"version = 1\nnew = 1").unwrap();
        assert_eq!(Config::load(&home).unwrap_err().code(), Code::BadInput);
    }
}
