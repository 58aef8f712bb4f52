//! The bytes of data files through their readers, down to the first batch of each part.
//!
//! In: a byte that chooses the program that reads them, and a file; or, for pictures, two files, the
//! first as long as the next two bytes say. Out: a panic where the readers do, or where a fault has
//! no place in the program that asked for the file.

use std::cell::RefCell;
use std::path::PathBuf;

use seqc::cli::load::load_bytes;
use seqc::data::{BatchPlan, BatchSize, DataSpec, Dataset, LoadOptions, Part, Wanted, probe};
use seqc::span::Sources;

/// Ways to read a file, each with its data block and a model that asks for all of it.
const PROGRAMS: [&str; 14] = [
    include_str!("../programs/text-chars.seq"),
    include_str!("../programs/text-words.seq"),
    include_str!("../programs/lines-chars.seq"),
    include_str!("../programs/lines-bpe.seq"),
    include_str!("../programs/csv-numbers.seq"),
    include_str!("../programs/csv-series.seq"),
    include_str!("../programs/csv-texts.seq"),
    include_str!("../programs/csv-blocks.seq"),
    include_str!("../programs/tsv-pairs.seq"),
    include_str!("../programs/tsv-multihot.seq"),
    include_str!("../programs/jsonl.seq"),
    include_str!("../programs/idx.seq"),
    include_str!("../programs/tensors.seq"),
    include_str!("../programs/tensors-lengths.seq"),
];

/// A file for each program, in their order, from which others are made.
const SEEDS: [&[u8]; 14] = [
    b"To be, or not to be: that is\nthe \"question\".\n",
    "the cat sat\non the mat\n\nThe e\u{301}t\u{e9}\n".as_bytes(),
    b"anna\nben\n\ncleo\ndora\nemil\nfinn\ngus\n",
    b"low lower lowest\nnew newer newest\nwide wider widest\n",
    b"a,b,c,y\n1,2,3,u\n4,5.5,-6,v\n1e3,0,9,u\n2,2,2,\"v\"\n7,8,9,u\n",
    b"day,n\n1,1\n2,1\n3,2\n4,3\n5,5\n6,8\n7,13\n8,21\n9,34\n10,55\n11,89\n12,144\n",
    b"a good one,up\n\"bad, very\nbad\",down\n\"so \"\"so\"\"\",up\n",
    b"the,D\ncat,N\nsat,V\n\nit,P\nran,V\n\n\nthe,D\nmat,N\n\nx,N\n\ny,N\n",
    "anna\t\u{928}\nben\t\u{92c}\u{947}\u{928}\ncleo\tkl\ndora\tdr\nemil\tml\n".as_bytes(),
    b"notes\tkind\n0 3 7\ta\n1\tb\n\n2 2\ta\n\tb\n",
    b"{\"text\": \"Abc\", \"a\": 1, \"b\": -2e3, \"mood\": true}\n\n{\"mood\": false, \"b\": 0.5, \"a\": 4, \"text\": \"\\u00e9\\n\"}\n",
    b"\0\x20\0\0\x08\x03\0\0\0\x04\0\0\0\x02\0\0\0\x02\0\x01\x02\x03\x04\x05\x06\x07\xff\xfe\xfd\xfc\x10\x20\x30\x40\0\0\x08\x01\0\0\0\x04\x07\x01\x07\x02",
    b"{\"x\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},\"y\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[16,32]}}",
    b"{\"x\":{\"dtype\":\"F32\",\"shape\":[2,2,2],\"data_offsets\":[0,32]},\"x.len\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[32,48]},\"y\":{\"dtype\":\"I64\",\"shape\":[2,2],\"data_offsets\":[48,80]}}",
];

/// What to begin with: a file that is read without a fault, for each program.
pub fn seeds() -> Vec<Vec<u8>> {
    let one = |(i, file): (usize, &&[u8])| {
        let mut seed = vec![i as u8];
        match file.first() {
            // The header of tensors is given alone: its length comes before it, the numbers after.
            Some(b'{') if PROGRAMS[i].contains("tensors(") => {
                let bytes: usize = if PROGRAMS[i].contains("time T") {
                    80
                } else {
                    32
                };
                seed.extend((file.len() as u64).to_le_bytes());
                seed.extend(*file);
                let numbers = (0..bytes).map(|n| match n % 16 {
                    0 | 8 => 1 + (n / 40) as u8,
                    _ => 0,
                });
                seed.extend(numbers);
            }
            _ => seed.extend(*file),
        }
        seed
    };
    SEEDS.iter().enumerate().map(one).collect()
}

struct Program {
    spec: DataSpec,
    wanted: Wanted,
    sources: Sources,
}

/// The programs, and a folder of this thread's own.
struct Bench {
    programs: Vec<Program>,
    folder: PathBuf,
}

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

impl Bench {
    fn new() -> Bench {
        Bench {
            programs: PROGRAMS.iter().map(|text| Program::new(text)).collect(),
            folder: super::folder("data"),
        }
    }
}

impl Program {
    fn new(text: &str) -> Program {
        let loaded = load_bytes("fuzz.seq", text.as_bytes(), &[])
            .and_then(|l| l.valid())
            .unwrap_or_else(|f| panic!("{text}: {:?}", f.diagnostics));
        let train = loaded.experiment.train(None).expect("a train block");
        let data = loaded.experiment.data(&train.settings.data);
        Program {
            spec: data.expect("its data").spec.clone(),
            wanted: train.wanted.clone(),
            sources: loaded.sources,
        }
    }
}

pub fn run(bytes: &[u8]) {
    BENCH.with_borrow_mut(|bench| one(bytes, bench.get_or_insert_with(Bench::new)));
}

fn one(bytes: &[u8], bench: &Bench) {
    let Some((chosen, file)) = bytes.split_first() else {
        return;
    };
    let program = &bench.programs[usize::from(*chosen) % bench.programs.len()];
    // Pictures have their labels in a file of their own.
    let (file, other) = match file {
        [high, low, rest @ ..]
            if PROGRAMS[usize::from(*chosen) % PROGRAMS.len()].contains("idx(") =>
        {
            let length = usize::from(*high) << 8 | usize::from(*low);
            rest.split_at(length.min(rest.len()))
        }
        all => (all, &[][..]),
    };
    std::fs::write(bench.folder.join("file"), file).expect("the folder is ours");
    std::fs::write(bench.folder.join("other"), other).expect("the folder is ours");
    let options = LoadOptions::new(&bench.folder);
    let looked_at = probe(&program.spec, &program.wanted, &options);
    match Dataset::load(&program.spec, &program.wanted, &options) {
        Ok(dataset) => batches(&dataset),
        Err(errors) => {
            assert!(!errors.is_empty());
            for d in looked_at.iter().chain(&errors) {
                super::source::hold(d, &program.sources);
                assert!(!d.labels.is_empty(), "no place: {d:?}");
            }
            super::source::show(&errors[..1], &program.sources);
        }
    }
}

/// The first batch of each part, in both ways of cutting one.
fn batches(dataset: &Dataset) {
    let ways = [
        (BatchSize::Rows(3), Some(5), None),
        (BatchSize::Tokens(16), None, Some(4)),
    ];
    for (batch, bptt, window) in ways {
        let plan = BatchPlan {
            batch,
            bptt,
            window,
            seed: 1,
            epoch: 0,
            shuffle: true,
        };
        if dataset.check_plan(&plan, Default::default()).is_err() {
            continue;
        }
        for part in Part::ALL {
            let _ = dataset.batches(part, &plan).next();
        }
    }
}
