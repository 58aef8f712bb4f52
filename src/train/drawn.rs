//! What a run's folder shows beside its logs: curves, and the scores of single classes.
//!
//! In: a [`Run`] and its log. Out: pictures, in builds that can draw, and `classes.json`.

use super::disk;
use super::failure::Failure;
use super::observe::Measured;
use super::run::Run;

impl Run<'_> {
    /// Writes what the best measurement says of single classes, and draws it, in builds that can.
    pub fn keep_classes(&self, measured: &Measured) -> Result<(), Failure> {
        let mut found = measured.by_class.json();
        if found.is_empty() {
            return Ok(());
        }
        found.insert("step".into(), self.progress.step.into());
        let text = format!("{}\n", serde_json::Value::Object(found));
        let folder = self.plan.folder.path();
        disk::replace(&folder.join("classes.json"), text.as_bytes())?;
        #[cfg(feature = "cli")]
        if let Some(confusion) = &measured.by_class.confusion {
            let svg = super::picture::svg(confusion);
            disk::replace(&folder.join("confusion.svg"), svg.as_bytes())?;
        }
        Ok(())
    }

    /// Draws `loss.svg`, in builds that can.
    pub fn draw_loss(&self) -> Result<(), Failure> {
        #[cfg(feature = "cli")]
        if !self.log.series.train.is_empty() {
            let svg = super::picture::svg(&super::plot::Curves::losses(&self.log.series));
            disk::replace(&self.plan.folder.path().join("loss.svg"), svg.as_bytes())?;
        }
        Ok(())
    }

    /// Draws all curves, which is done once, at the end of a session.
    pub fn draw_curves(&self) -> Result<(), Failure> {
        self.draw_loss()?;
        #[cfg(feature = "cli")]
        if !self.log.series.train.is_empty() {
            use super::plot::Curves;
            let curves = [
                ("rate.svg", Curves::rate(&self.log.series)),
                ("grad_norm.svg", Curves::grad_norm(&self.log.series)),
            ];
            for (name, curves) in curves {
                let svg = super::picture::svg(&curves);
                disk::replace(&self.plan.folder.path().join(name), svg.as_bytes())?;
            }
        }
        Ok(())
    }
}
