//! What a run was started with.
//!
//! In: a checked file, its data, what the command line said. Out: [`Record`], the `run.json` of its
//! folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::manifest::FORMAT;
use crate::data::spec::{FieldRole, Unit};
use crate::data::{Column, Dataset, Fits, Inverse, Prepare, Vocabulary};
use crate::settings::{GenerateSettings, TrainSettings};

/// A field of the model as the run's data has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldInfo {
    pub name: String,
    pub role: FieldRole,
    pub unit: Unit,
    pub time: Option<String>,
    /// Sizes after the time.
    pub features: Vec<usize>,
    pub vocabulary: Option<Vocabulary>,
    /// Back to the unit of the file.
    pub inverse: Inverse,
    /// What is done to a text before it is cut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prepared: Vec<Prepare>,
    /// Whether the model reads `previous` of it.
    pub previous: bool,
}

impl From<&Column> for FieldInfo {
    fn from(c: &Column) -> FieldInfo {
        FieldInfo {
            name: c.name.clone(),
            role: c.role,
            unit: c.unit,
            time: c.time.clone(),
            features: c.features.clone(),
            vocabulary: c.vocabulary.clone(),
            inverse: c.inverse.clone(),
            prepared: c.prepared.clone(),
            previous: c.previous,
        }
    }
}

/// What a run was started with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub format: u32,
    /// The `.seq` file's name and folder, from which its data paths count.
    pub file: String,
    pub base: PathBuf,
    /// `--data NAME=PATH`, by name, absolute.
    pub data: BTreeMap<String, PathBuf>,
    /// `--set` (and `--seed`) as given, in order: the program is the source with these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<String>,
    /// As trained, these included.
    pub train: TrainSettings,
    pub generate: Option<GenerateSettings>,
    pub fields: Vec<FieldInfo>,
    pub fits: Fits,
}

impl Record {
    pub fn new(
        file: &Path,
        data: BTreeMap<String, PathBuf>,
        set: Vec<String>,
        train: &TrainSettings,
        generate: Option<&GenerateSettings>,
        dataset: &Dataset,
    ) -> Record {
        let absolute = |p: &Path| std::path::absolute(p).unwrap_or_else(|_| p.to_path_buf());
        let name = file.file_name().unwrap_or_default();
        // The folder of `names.seq` is where we stand, and has no name to make absolute.
        let folder = file.parent().filter(|p| !p.as_os_str().is_empty());
        Record {
            format: FORMAT,
            file: name.to_string_lossy().into_owned(),
            base: absolute(folder.unwrap_or(Path::new("."))),
            data: data.into_iter().map(|(n, p)| (n, absolute(&p))).collect(),
            set,
            train: train.clone(),
            generate: generate.cloned(),
            fields: dataset.columns().iter().map(FieldInfo::from).collect(),
            fits: dataset.fits().clone(),
        }
    }

    pub fn field(&self, name: &str) -> Option<&FieldInfo> {
        self.fields.iter().find(|f| f.name == name)
    }
}
