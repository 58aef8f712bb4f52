//! `seqc predict RUN -`: predictions for what comes on standard input, each as soon as it can be made.
//!
//! In: a run, a stream of text in the form of its data: lines, rows, objects, blocks of rows or
//! characters. Out: a line for each example, or for each step of a series whose states are carried on,
//! written at once.
//!
//! Each unit of the stream ([`super::units`]) is loaded as a small source of its own, behind the rows
//! before it that windows look back at, so that a row means what it means in a file.

use std::fs::File;
use std::io::{self, BufRead, Write};

use super::args::{Format, PredictArgs};
use super::argument;
use super::near::Near;
use super::rows::{self, columns, in_units};
use super::text::{Lines, Text};
use super::unanswered;
use super::units::{NAME, Units, cut, head};
use super::written::{self, Writer};
use super::{inputs, show_given};
use crate::cli::args::Common;
use crate::cli::load::{plain, unwritten};
use crate::cli::opened::{Opened, best};
use crate::cli::{Failure, Within, from_training, stdout};
use crate::data::spec::{FieldRole, SourceKind};
use crate::data::{
    BatchPlan, BatchSize, DataSpec, Dataset, LoadOptions, Part, Piece, Tensor, Wanted,
};
use crate::diagnostics::Diagnostic;
use crate::lower::Options;
use crate::span::Span;
use crate::train::evaluate;
use crate::train::follow::Follower;
use crate::train::plan::Stage;

pub fn run(common: &Common, args: &PredictArgs, opened: &Opened, at: Span) -> Result<u8, Failure> {
    if common.json || !matches!(args.form(), Format::Csv | Format::Jsonl) {
        let message = "predictions for a stream are lines: --to csv or --to jsonl";
        return Err(Diagnostic::error("usage::stream-format", message).into());
    }
    let writer = Writer::new(opened, args)?;
    let written = writer.as_ref().map(|w| &w.target[..]);
    argument::refuse_probabilities(opened, args, written)?;
    argument::refuse_names(opened, common, args, written)?;
    let wanted = inputs::wanted(opened, written)?;
    let mut spec = inputs::spec(opened, &wanted, None, at)?;
    // Rows are answered in the order in which they come.
    if let SourceKind::Csv(t) | SourceKind::Tsv(t) = &mut spec.source.kind {
        t.sort = None;
    }
    let cut = cut(&spec)?;
    if args.lines && matches!(spec.source.kind, SourceKind::Text(_)) {
        let sources = opened.loaded.sources.clone();
        return Err(Failure::new(vec![argument::no_lines(at)], sources));
    }
    if !common.quiet && writer.is_none() {
        show_given(opened);
    }
    let out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(File::create(path).map_err(|e| unwritten(path, &e))?),
        None => Box::new(Stdout),
    };
    let mut stream = Stream {
        opened,
        args,
        spec: &spec,
        wanted: &wanted,
        out,
        model: writer.map(|w| Model::Writer(Box::new(w))),
        text: None,
        shown: 0,
        unseen: inputs::Unseen::default(),
        unanswered: Vec::new(),
        quiet: common.quiet,
        line: None,
    };
    let mut units = Units::new(io::stdin().lock(), head(&spec), cut);
    let ended = stream.follow(&mut units);
    if !common.quiet {
        stream.unseen.show();
        unanswered::show(&stream.unanswered, args);
    }
    ended.within(&opened.loaded.sources).map(|()| 0)
}

/// Standard output, whose closed pipe ends us quietly.
struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let cannot = |_| io::Error::other("standard output cannot be written");
        stdout::bytes(bytes).map_err(cannot).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What runs: a whole example at a time, or a step.
enum Model<'a> {
    Examples(Box<Stage>, Vec<f32>),
    Series(Box<Follower<'a>>),
    Writer(Box<Writer>),
}

struct Stream<'a> {
    opened: &'a Opened,
    args: &'a PredictArgs,
    spec: &'a DataSpec,
    wanted: &'a Wanted,
    out: Box<dyn Write>,
    model: Option<Model<'a>>,
    text: Option<Text<'a>>,
    /// Examples or steps written.
    shown: usize,
    unseen: inputs::Unseen,
    /// The lines of the rows that `missing = drop` leaves out.
    unanswered: Vec<usize>,
    quiet: bool,
    /// The line on which the row begins that is answered, where that is asked for.
    line: Option<usize>,
}

impl<'a> Stream<'a> {
    fn follow(&mut self, units: &mut Units<impl BufRead>) -> Result<(), Failure> {
        let span = self.spec.source.span;
        let mut header = None;
        let named = match &self.spec.source.kind {
            SourceKind::Csv(t) | SourceKind::Tsv(t) => t.header,
            _ => false,
        };
        let mut near = Near::default();
        let mut rows = 0;
        while let Some((bytes, first)) = units.next()? {
            let piece = Piece::piece(bytes, NAME, first, span)?;
            if named && header.is_none() {
                header = Some(piece);
                continue;
            }
            let line = piece.line();
            let place = format!("{NAME}:{line}");
            rows += 1;
            near.push(piece);
            let mut options = LoadOptions::new(&self.opened.record.base);
            options.only = Some(Part::Test);
            options.fits = Some(&self.opened.record.fits);
            options.given = Some(Piece::joined(header.iter().chain(near.pieces())));
            options.behind = near.behind();
            let found = |d: Vec<Diagnostic>| {
                let d = d.into_iter().map(|d| placed(d, &place)).collect();
                Failure::new(inputs::advised(d), self.opened.loaded.sources.clone())
            };
            if near.asks() {
                let newest = Dataset::newest(self.spec, self.wanted, &options).map_err(found)?;
                if !newest.kept {
                    self.unanswered.push(line);
                }
                near.told(newest);
            }
            let Some(line) = near.answered() else {
                continue;
            };
            let dataset = Dataset::load(self.spec, self.wanted, &options).map_err(found)?;
            let unseen = inputs::unseen(&dataset).within(&self.opened.loaded.sources)?;
            self.unseen.add(unseen);
            near.pass();
            self.line = self.args.lines.then_some(line);
            self.show(&dataset)?;
        }
        if self.shown > 0 {
            return Ok(());
        }
        if rows == 0 && header.is_none() {
            if !self.quiet {
                eprintln!("{NAME} is empty: nothing is predicted");
            }
            return Ok(());
        }
        let nothing = unanswered::nothing(rows, near.needed());
        Err(nothing.label(span, "read here")).within(&self.opened.loaded.sources)
    }

    /// Predicts for what is new.
    fn show(&mut self, dataset: &Dataset) -> Result<(), Failure> {
        if self.model.is_none() {
            self.model = Some(self.compile(dataset.is_long())?);
        }
        match self.model.take() {
            Some(Model::Series(mut follower)) => {
                self.series(&mut follower, dataset)?;
                self.model = Some(Model::Series(follower));
            }
            Some(Model::Examples(mut stage, weights)) => {
                self.examples(&mut stage, &weights, dataset)?;
                self.model = Some(Model::Examples(stage, weights));
            }
            Some(Model::Writer(mut writer)) => {
                for written in writer.all(self.opened, dataset)? {
                    let mut out = String::new();
                    if self.shown == 0 && self.args.form() == Format::Csv {
                        out.push_str(&written::header(
                            &writer.target,
                            &written,
                            self.line.is_some(),
                        ));
                    }
                    out.push_str(&match self.args.form() {
                        Format::Jsonl => written::jsonl(&writer.target, &written, self.line),
                        _ => written::csv(self.shown, &written, self.line),
                    });
                    self.write(&out)?;
                }
                self.model = Some(Model::Writer(writer));
            }
            None => {}
        }
        Ok(())
    }

    fn compile(&mut self, long: bool) -> Result<Model<'a>, Failure> {
        let opened = self.opened;
        let (model, columns) = if long {
            let settings = &opened.block.settings;
            let fixed = self.wanted.times.iter().find_map(|t| t.fixed);
            let window = settings.window.filter(|_| settings.bptt.is_none());
            let window = fixed.or(window.map(|w| w as usize));
            let generator = opened.compiler().follower(window)?;
            let signature = generator.step.signature();
            let columns = columns(signature, &opened.record);
            let weights = best(&self.args.run, signature)?;
            let fields = &opened.record.fields;
            let follower = Follower::new(generator, weights, fields, window);
            (
                Model::Series(Box::new(follower.map_err(from_training)?)),
                columns,
            )
        } else {
            let stage = opened.stage(Options::PREDICT)?;
            let signature = stage.start.signature();
            let columns = columns(signature, &opened.record);
            let weights = best(&self.args.run, signature)?;
            (Model::Examples(Box::new(stage), weights), columns)
        };
        self.text = Some(Text {
            columns,
            lines: Lines::of(long, None),
            probabilities: self.args.probabilities,
            numbered: self.args.lines,
        });
        Ok(model)
    }

    fn examples(
        &mut self,
        stage: &mut Stage,
        weights: &[f32],
        dataset: &Dataset,
    ) -> Result<(), Failure> {
        let signature = stage.start.signature().clone();
        let plan = evaluate::plan(&self.opened.block.settings, false, dataset.len(Part::Test));
        let stop = std::sync::atomic::AtomicBool::new(false);
        let mut all = Vec::new();
        let part = Part::Test;
        evaluate::each_batch(
            stage,
            weights,
            dataset,
            part,
            &plan,
            &stop,
            |batch, feed| {
                all.extend(rows::of_batch(&signature, batch, feed));
                Ok(())
            },
        )
        .map_err(from_training)?;
        all.into_iter().try_for_each(|example| self.line(example))
    }

    fn series(&mut self, follower: &mut Follower<'_>, dataset: &Dataset) -> Result<(), Failure> {
        let ahead = follower.is_ahead();
        if ahead {
            // What is answered is the row to come.
            self.line = None;
        }
        let plan = BatchPlan {
            batch: BatchSize::Rows(1),
            bptt: Some(1),
            window: None,
            seed: 0,
            epoch: 0,
            shuffle: false,
        };
        if ahead && self.shown == 0 {
            self.step(follower, Vec::new())?;
        }
        for (i, batch) in dataset.batches(Part::Test, &plan).enumerate() {
            let batch = batch?;
            let told = follower.read().map(|name| {
                let column = dataset.column(name);
                let tokens = column.map_or(&[][..], |c| c.tokens(i));
                let value = match (tokens, batch.data(name)) {
                    ([], Some(numbers)) => numbers.clone(),
                    (tokens, _) => Tensor::I32(tokens.to_vec()),
                };
                (name.to_string(), value)
            });
            let told: Vec<(String, Tensor)> = told.collect();
            let input = |name: &str| {
                let column = dataset.column(name);
                column.is_some_and(|c| c.role == FieldRole::Input)
            };
            // A target too, where the model reveals it.
            let given = |name: &str| input(name) || follower.is_given(name);
            let data: Vec<(String, Tensor)> = batch
                .data
                .into_iter()
                .filter(|(name, _)| given(name))
                .collect();
            if ahead {
                follower.tell(told);
                self.step(follower, Vec::new())?;
            } else {
                self.step(follower, data)?;
                follower.tell(told);
            }
        }
        Ok(())
    }

    fn step(
        &mut self,
        follower: &mut Follower<'_>,
        data: Vec<(String, Tensor)>,
    ) -> Result<(), Failure> {
        let signature = follower.signature().clone();
        let (batch, feed) = follower.step(data).map_err(from_training)?;
        let all = rows::of_batch(&signature, &batch, feed);
        all.into_iter().try_for_each(|step| self.line(step))
    }

    /// Writes an example's or a step's results.
    fn line(&mut self, mut example: Vec<rows::Rows>) -> Result<(), Failure> {
        let Some(text) = &mut self.text else {
            return Ok(());
        };
        in_units(&text.columns, &self.opened.record, &mut example);
        let mut out = String::new();
        if self.shown == 0 {
            text.lines = Lines::of(text.lines == Lines::Series, Some(&example));
            if self.args.form() == Format::Csv {
                out.push_str(&text.header(&example));
            }
        }
        out.push_str(&match self.args.form() {
            Format::Jsonl => text.jsonl(&example, &[self.line]),
            _ => text.csv(self.shown, &example, &[self.line]),
        });
        self.write(&out)
    }

    /// Writes the lines of one answer.
    fn write(&mut self, out: &str) -> Result<(), Failure> {
        self.shown += 1;
        let written = self.out.write_all(out.as_bytes());
        written.and_then(|()| self.out.flush()).map_err(|e| {
            let message = format!("a prediction cannot be written: {}", plain(&e));
            Diagnostic::error("io::write", message).into()
        })
    }
}

/// An error that does not say where in the stream it is yet.
fn placed(mut d: Diagnostic, place: &str) -> Diagnostic {
    let named = format!("{NAME}:");
    let knows = d.labels.iter().any(|l| l.text.contains(&named));
    if let (false, Some(label)) = (knows, d.labels.first_mut()) {
        label.text = format!("{}, at {place}", label.text);
    }
    d
}
