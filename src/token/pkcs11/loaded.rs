//! A module as this process has it: loaded once, initialised once, shared by every token behind it.
//!
//! C_Finalize ends the sessions of all of them, and the handles of the next initialisation start over: an old handle
//! may then name another token's session or another key. So every use of a handle holds the gate and checks the epoch.

use std::{
    collections::HashMap,
    ffi::CString,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use cryptoki_sys::*;

use super::{codes::Refused, file, module::Module};
use crate::token::{Result, TokenError};

/// A loaded module and whether it is initialised.
pub(super) struct Loaded {
    pub module: Module,
    parameters: Option<CString>,
    gate: RwLock<State>,
    /// Held through each call of a module that cannot lock.
    one_at_a_time: Mutex<()>,
}

/// What the gate guards.
pub(super) struct State {
    /// Counts the initialisations; handles of an earlier epoch are void.
    pub epoch: u64,
    /// How many tokens of this process use the module.
    pub users: usize,
    /// Whether calls may run in parallel.
    pub parallel: bool,
    up: Up,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Up {
    Down,
    /// Initialised by us, so ours to finalise.
    Ours,
    /// Initialised by another part of this process.
    Theirs,
}

impl Loaded {
    /// The module at `path`, loaded now or before.
    pub fn load(path: &Path, args: Option<&str>) -> Result<Arc<Self>> {
        static ALL: Mutex<Option<HashMap<PathBuf, Arc<Loaded>>>> = Mutex::new(None);
        let parameters = args
            .map(|text| {
                CString::new(text).map_err(|_| TokenError::Failed("the module's arguments hold a NUL".into()))
            })
            .transpose()?;
        let name = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.get_or_insert_default();
        if let Some(loaded) = all.get(&name) {
            if loaded.parameters == parameters {
                return Ok(Arc::clone(loaded));
            }
            return Err(TokenError::Unsupported(format!(
                "{} is in use in this process with other arguments; it takes them once",
                path.display()
            )));
        }
        crate::process::remember_libraries();
        file::check(&name)?;
        let module = Module::load(path).map_err(|why| missing(path, &why))?;
        let gate = RwLock::new(State {
            epoch: 0,
            users: 0,
            parallel: true,
            up: Up::Down,
        });
        let loaded = Arc::new(Self {
            module,
            parameters,
            gate,
            one_at_a_time: Mutex::new(()),
        });
        all.insert(name, Arc::clone(&loaded));
        Ok(loaded)
    }

    /// The gate, for using handles.
    pub fn enter(&self) -> RwLockReadGuard<'_, State> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gate, where nobody starts the module over.
    pub fn try_enter(&self) -> Option<RwLockReadGuard<'_, State>> {
        self.gate.try_read().ok()
    }

    /// The gate, for starting the module over.
    pub fn enter_alone(&self) -> RwLockWriteGuard<'_, State> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn of one call where the module cannot lock.
    pub fn turn(&self, state: &State) -> Option<MutexGuard<'_, ()>> {
        (!state.parallel).then(|| self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Initialises the module if it is not; says whether it did.
    pub fn start(&self, state: &mut State) -> Result<bool, Refused> {
        if state.up != Up::Down {
            return Ok(false);
        }
        let mut answer = self
            .module
            .initialize(CKF_OS_LOCKING_OK, self.parameters.as_ref());
        state.parallel = true;
        if matches!(
            answer,
            Err(Refused {
                code: CKR_CANT_LOCK,
                ..
            })
        ) {
            answer = self.module.initialize(0, self.parameters.as_ref());
            state.parallel = false;
        }
        state.up = match answer {
            Ok(()) => Up::Ours,
            Err(Refused {
                code: CKR_CRYPTOKI_ALREADY_INITIALIZED,
                ..
            }) => Up::Theirs,
            Err(refused) => return Err(refused),
        };
        state.epoch += 1;
        Ok(true)
    }

    /// Finalises the module if it was ours to initialise; every handle is void then.
    pub fn stop(&self, state: &mut State) {
        if state.up == Up::Ours {
            // A module that cannot end cleanly is started again all the same.
            let _ = self.module.finalize();
            state.up = Up::Down;
        }
    }
}

/// Why a library could not be loaded, told apart by what the reader must do.
fn missing(path: &Path, why: &str) -> TokenError {
    let shown = path.display();
    let (what, fix) = if !path.exists() {
        (
            format!("there is no PKCS#11 module at {shown}"),
            "install the token's driver, or name another; `hsmsign init` lists the modules that are here"
                .to_owned(),
        )
    } else if path.is_dir() || why.contains("C_GetFunctionList") || why.contains("executable") {
        (
            format!("{shown} is not a PKCS#11 module: {why}"),
            "name the driver's PKCS#11 library".to_owned(),
        )
    } else if why.contains("wrong ELF class")
        || why.contains("invalid ELF header")
        || why.contains("file too short")
    {
        (
            format!("{shown} is not a library for this machine: {why}"),
            format!("install the driver for {}", std::env::consts::ARCH),
        )
    } else {
        (
            format!("the PKCS#11 module {shown} cannot be loaded: {why}"),
            "install what the driver needs; `ldd` on it shows what is missing".to_owned(),
        )
    };
    TokenError::Missing { what, fix }
}
