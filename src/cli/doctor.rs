//! `seqc doctor`: what was found on this machine.

use super::args::Common;
use super::{Failure, stdout};
use crate::targets::cpu::isa::Isa;
use crate::targets::cpu::memory;

pub fn run(common: &Common) -> Result<u8, Failure> {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = common.threads.map_or(all, usize::from);
    let sets: Vec<String> = Isa::available().iter().map(Isa::to_string).collect();
    let available = memory::available();
    let machine = format!("{} {}", std::env::consts::ARCH, std::env::consts::OS);
    if common.json {
        let found = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "machine": machine,
            "instructions": Isa::detect().to_string(),
            "available_instructions": sets,
            "threads": threads,
            "memory_bytes": available,
        });
        return stdout::line(&found.to_string()).map(|()| 0);
    }
    let memory = available.map_or("not known".into(), |a| {
        format!("{} available", memory::bytes(a.into()))
    });
    stdout::write(&format!(
        "seqc         {}\nmachine      {machine}\ninstructions {} (of {})\nthreads      {threads}\n\
         memory       {memory}\n",
        env!("CARGO_PKG_VERSION"),
        Isa::detect(),
        sets.join(", "),
    ))?;
    Ok(0)
}
