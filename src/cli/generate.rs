//! `seqc generate`: texts (or numbers) written by a trained model, one a line or paragraph.

use super::args::{Common, GenerateArgs, SearchArg};
use super::given;
use super::opened::{Opened, best};
use super::{Failure, Within, from_training, stdout};
use crate::diagnostics::Diagnostic;
use crate::settings::{GenerateSettings, Search};
use crate::train::generate::{Request, generate};

/// The most steps of one text: four thousand million would be weeks.
const MOST_STEPS: usize = 1_000_000_000;

/// The most texts at once: each has its states in memory.
const MOST_TEXTS: usize = 100_000;

pub fn run(common: &Common, args: &GenerateArgs) -> Result<u8, Failure> {
    let opened = Opened::new(&args.run, common)?;
    let model = &opened.record.train.model;
    let recorded = opened.generate.clone();
    let mut settings = recorded.unwrap_or_else(|| default_settings(model));
    overridden(&mut settings, common, args)?;
    let window = opened.block.settings.window;
    let generator = opened.compiler().generator(window);
    let mut generator = generator.within(&opened.loaded.sources)?;
    let weights = best(&args.run, generator.step.signature())?;
    let mut all = Vec::new();
    let mut outgrown = false;
    for given in given::rounds(&args.given, &opened.record.fields)? {
        let mut request = Request::new(&settings, args.n);
        request.given.extend(given);
        let written = generate(&mut generator, &weights, &opened.record.fields, &request);
        let (some, longer) = written.map_err(from_training)?;
        all.extend(some);
        outgrown |= longer;
    }
    if let Some(most) = generator.most.filter(|_| outgrown) {
        eprintln!("past {most} steps each next one is predicted from the last {most} alone");
    }
    if common.json {
        let texts: Vec<String> = all.iter().map(|g| g.text()).collect();
        return stdout::line(&serde_json::json!({ "generated": texts }).to_string()).map(|()| 0);
    }
    for g in &all {
        stdout::foreign(&g.text())?;
    }
    Ok(0)
}

/// What a file without a `generate` block asks for.
pub fn default_settings(model: &str) -> GenerateSettings {
    GenerateSettings {
        model: model.to_string(),
        prompt: String::new(),
        length: 200,
        temperature: 1.0,
        top_k: None,
        top_p: None,
        search: Search::Sample,
        given: Vec::new(),
        seed: 0,
    }
}

/// The file's settings with the command line's.
fn overridden(
    s: &mut GenerateSettings,
    common: &Common,
    args: &GenerateArgs,
) -> Result<(), Failure> {
    let refuse = |what: &str| -> Failure {
        Diagnostic::error("usage::out-of-range", what.to_string()).into()
    };
    if args.n == 0 || args.n > MOST_TEXTS {
        let message = format!("--number {}: from 1 to {MOST_TEXTS}", args.n);
        return Err(refuse(&message));
    }
    if let Some(prompt) = &args.prompt {
        s.prompt = prompt.clone();
    }
    if let Some(n) = args.length {
        if n == 0 || n > MOST_STEPS {
            return Err(refuse(&format!("--length {n}: from 1 to {MOST_STEPS}")));
        }
        s.length = n as u32;
    }
    if let Some(t) = args.temperature {
        if !(t >= 0.0 && t.is_finite()) {
            return Err(refuse("--temperature is 0 or a number above it"));
        }
        s.temperature = t;
    }
    if let Some(k) = args.top_k {
        if k == 0 {
            return Err(refuse("--top-k is at least 1"));
        }
        s.top_k = Some(u32::try_from(k).unwrap_or(u32::MAX));
    }
    if let Some(p) = args.top_p {
        if !(p > 0.0 && p <= 1.0) {
            return Err(refuse("--top-p is above 0 and at most 1"));
        }
        s.top_p = Some(p);
    }
    match args.search {
        Some(SearchArg::Greedy) => s.search = Search::Greedy,
        Some(SearchArg::Sample) => s.search = Search::Sample,
        Some(SearchArg::Beam(width)) => {
            let length_penalty = match s.search {
                Search::Beam { length_penalty, .. } => length_penalty,
                Search::Sample | Search::Greedy => 0.0,
            };
            s.search = Search::Beam {
                width,
                length_penalty,
            };
        }
        None => {}
    }
    if let Search::Beam { width, .. } = s.search
        && args.n > width as usize
    {
        return Err(refuse(&format!(
            "beam({width}) finds {width} sequences at most, -n asks for {}",
            args.n
        )));
    }
    if let Some(seed) = common.seed {
        s.seed = seed;
    }
    Ok(())
}
