use std::{path::PathBuf, process::ExitCode};

use hsmsign::{
    agent::alone::Serving,
    error::{Code, Error, Result, bad_input},
    setup::{self, Ready, Wanted},
    token::{discover, leaky, pkcs11, yubikey::device},
};

use super::{Around, output};

/// Set up a token: one that is there, or a development token in software.
///
/// Without --softhsm, --yubikey or --pkcs11, the modules that p11-kit knows and that lie in the usual folders are looked
/// through, and pcscd is asked for YubiKeys; what is found is offered.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  hsmsign init                                        find what is there, and ask
  hsmsign init --softhsm                              a development token, with a random PIN in a file
  hsmsign init --yubikey                              the YubiKey that is plugged in
  hsmsign init --yubikey 12345678 --token spare       one of several, by its serial number
  hsmsign init --pkcs11 /usr/lib/vendor/pkcs11.so --label trading --pin-source pinentry
  hsmsign init --pkcs11 MODULE --serial 0123 --token hsm --pin-source credential:hsm-pin")]
pub struct Args {
    /// Make a SoftHSM token in hsmsign's own folders; no root needed
    #[arg(long, conflicts_with_all = ["pkcs11", "label", "serial", "module_args", "pin_source"])]
    softhsm: bool,
    /// Use a YubiKey, by its serial number where there are several; no PKCS#11 module is needed
    #[arg(long, value_name = "SERIAL", num_args = 0..=1, default_missing_value = "",
        conflicts_with_all = ["softhsm", "pkcs11", "label", "serial", "module_args", "accept_leaky_token"])]
    yubikey: Option<String>,
    /// Use a token of this PKCS#11 module
    #[arg(long, value_name = "MODULE")]
    pkcs11: Option<PathBuf>,
    /// The token's label
    #[arg(long)]
    label: Option<String>,
    /// The token's serial number
    #[arg(long)]
    serial: Option<String>,
    /// What the module wants at its initialisation, in its own form
    #[arg(long)]
    module_args: Option<String>,
    /// The token's name for hsmsign
    #[arg(long, value_name = "NAME")]
    token: Option<String>,
    /// Where the PIN (of a YubiKey, the access code) comes from: terminal, pinentry, file:PATH, fd:N, credential:NAME
    #[arg(long, value_name = "SRC")]
    pin_source: Option<String>,
    /// Use a token although it gives its keys away to whoever has the PIN
    #[arg(long)]
    accept_leaky_token: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let around = Around::find()?;
    if args.softhsm {
        let ready = setup::softhsm(
            &around.home,
            args.token.as_deref(),
            args.accept_leaky_token,
            &around.ask,
        )?;
        output::warn(
            "SoftHSM keeps its keys in files and in the memory of the process that signs: for development and tests, not for money",
        );
        return tell(&around, &ready);
    }
    if let Some(wanted) = &args.yubikey {
        return tell(
            &around,
            &setup::yubikey(
                &around.home,
                wanted,
                args.token.as_deref(),
                args.pin_source.as_deref(),
                &around.ask,
            )?,
        );
    }
    let mut wanted = Wanted {
        module: args.pkcs11.clone().unwrap_or_default(),
        label: args.label,
        serial: args.serial,
        module_args: args.module_args,
        name: args.token,
        pin_source: args.pin_source,
        accept_leaky_token: args.accept_leaky_token,
    };
    if args.pkcs11.is_none()
        && let Some(serial) = choose(&around, &mut wanted)?
    {
        let (name, source) = (wanted.name.as_deref(), wanted.pin_source.as_deref());
        return tell(
            &around,
            &setup::yubikey(&around.home, &serial, name, source, &around.ask)?,
        );
    }
    tell(&around, &setup::pkcs11(&around.home, &wanted, &around.ask)?)
}

fn tell(around: &Around, ready: &Ready) -> Result<ExitCode> {
    let (name, identity) = (&ready.name, ready.token.identity());
    if !ready.leaks.is_empty() {
        output::warn(&format!(
            "token {name} was taken as you said: {}",
            leaky(&ready.leaks)
        ));
    }
    if let Some(short) = &ready.short_pin {
        output::warn(&format!("the PIN of token {name} {short}"));
    }
    if Serving::in_folders(&around.home).is_some() {
        output::warn("the agent that runs does not know it yet: hsmsign agent reload");
    }
    let usual = around.config()?.usual_token().is_ok_and(|usual| usual == name);
    let with = if usual {
        String::new()
    } else {
        format!(" --token {name}")
    };
    output::line(&format!(
        "token {name} is set up: {} (serial {}), {}\nnext: hsmsign import --exchange EXCHANGE{with}",
        identity.label, identity.serial, identity.module
    ))
}

/// Looks for tokens, shows them, and asks which. Answers the serial number of a YubiKey, where that was chosen.
fn choose(around: &Around, wanted: &mut Wanted) -> Result<Option<String>> {
    let mut found = Vec::new();
    for known in discover::modules() {
        let module = known.path;
        match pkcs11::scan(&module, None) {
            Ok(tokens) => found.extend(
                tokens
                    .into_iter()
                    .filter(|token| token.initialised && token.pin_set)
                    .map(|token| (module.clone(), token)),
            ),
            Err(error) => output::warn(&format!("{} was passed over: {error}", module.display())),
        }
    }
    found.retain(|(_, token)| {
        wanted
            .label
            .as_ref()
            .is_none_or(|label| *label == token.identity.label)
            && wanted
                .serial
                .as_ref()
                .is_none_or(|serial| *serial == token.identity.serial)
    });
    // Without pcscd there are none.
    let mut keys = device::all().map(|(keys, _)| keys).unwrap_or_default();
    keys.retain(|key| {
        wanted.label.is_none() && wanted.serial.as_ref().is_none_or(|serial| *serial == key.name())
    });
    let mut offers: Vec<_> = found
        .iter()
        .enumerate()
        .map(|(index, (module, token))| {
            let identity = &token.identity;
            format!(
                "  {}  {} (serial {}), {}, {}",
                index + 1,
                identity.label,
                identity.serial,
                identity.model,
                module.display()
            )
        })
        .collect();
    offers.extend(keys.iter().enumerate().map(|(index, key)| {
        format!(
            "  {}  {}, without a PKCS#11 module",
            found.len() + index + 1,
            key.called()
        )
    }));
    if offers.is_empty() {
        return Err(Error::new(Code::TokenMissing, "no initialised PKCS#11 token and no YubiKey was found").fix(
            "plug it in, or name its module: hsmsign init --pkcs11 MODULE; for development: hsmsign init --softhsm",
        ));
    }
    if !around.ask.present() {
        return Err(bad_input(format!(
            "tokens were found, and there is no terminal to ask which:\n{}",
            offers.join("\n")
        ))
        .fix("name one: hsmsign init --pkcs11 MODULE --serial SERIAL, or hsmsign init --yubikey SERIAL"));
    }
    around.ask.tell(&format!("tokens found:\n{}", offers.join("\n")));
    let answer = around.ask.line("which one (number): ")?;
    let index = answer
        .trim()
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_sub(1));
    if let Some(key) = index.and_then(|index| keys.get(index.checked_sub(found.len())?)) {
        return Ok(Some(key.name()));
    }
    let (module, token) = index.and_then(|index| found.get(index)).ok_or_else(|| {
        bad_input(format!(
            "{:?} is none of the numbers; nothing was set up",
            answer.trim()
        ))
    })?;
    wanted.module.clone_from(module);
    wanted.serial = Some(token.identity.serial.clone());
    wanted.label = Some(token.identity.label.clone());
    Ok(None)
}
