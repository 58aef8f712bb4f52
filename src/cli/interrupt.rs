//! SIGINT and SIGTERM while a run is training.
//!
//! In: signals. Out: a flag that training looks at after each step, and the exit code that is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::Failure;
use crate::diagnostics::Diagnostic;

/// What SIGINT and SIGTERM leave: that one came, and the exit code it asks for.
pub struct Interrupt {
    pub came: Arc<AtomicBool>,
    code: Arc<AtomicUsize>,
}

impl Interrupt {
    /// The first signal is noted; a second one ends the process at once.
    pub fn watch() -> Result<Interrupt, Failure> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        use signal_hook::flag;
        let (came, code) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        for (signal, exit) in [(SIGINT, 130), (SIGTERM, 143)] {
            // In the order in which they run: a second arrival finds what the first one set.
            flag::register_conditional_shutdown(signal, exit, came.clone())
                .and_then(|_| flag::register_usize(signal, code.clone(), exit as usize))
                .and_then(|_| flag::register(signal, came.clone()))
                .map_err(|e| Diagnostic::error("io::signal", format!("signals: {e}")))?;
        }
        Ok(Interrupt { came, code })
    }

    pub fn exit_code(&self) -> u8 {
        u8::try_from(self.code.load(Ordering::Relaxed)).unwrap_or(130)
    }
}
