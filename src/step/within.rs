//! Conditions on steps, as the step that is made now sees them.
//!
//! In: a domain, and a form for each of its coordinates. Out: the domain in those forms, where what
//! always holds is left out.

use crate::dim::Dim;
use crate::domain::{Affine, Coord, Domain, Overflow};

/// The condition with every coordinate replaced by a form.
pub fn replaced(d: &Domain, to: &dyn Fn(Coord) -> Affine) -> Result<Domain, Overflow> {
    let form = |a: &Affine| -> Result<Affine, Overflow> {
        let mut out = Affine::constant(a.offset().clone());
        for (c, n) in a.terms() {
            out = out.add(&to(c).scale(n)?)?;
        }
        Ok(out)
    };
    let known = |a: &Affine| a.as_constant().and_then(Dim::as_const);
    let truth = |holds: bool| match holds {
        true => Domain::everywhere(),
        false => Domain::Any(Vec::new()),
    };
    Ok(match d {
        Domain::AtLeast(a) => {
            let a = form(a)?;
            known(&a).map_or(Domain::AtLeast(a), |n| truth(n >= 0))
        }
        Domain::Zero(a) => {
            let a = form(a)?;
            known(&a).map_or(Domain::Zero(a), |n| truth(n == 0))
        }
        Domain::Multiple(a, n) => Domain::Multiple(form(a)?, n.clone()),
        Domain::Not(d) => {
            let d = replaced(d, to)?;
            match d.is_everywhere() {
                true => truth(false),
                false => Domain::Not(Box::new(d)),
            }
        }
        Domain::All(parts) => {
            let mut all = Domain::everywhere();
            for p in parts {
                all = all.and(replaced(p, to)?);
            }
            all
        }
        Domain::Any(parts) => {
            let mut any = Domain::Any(Vec::new());
            for p in parts {
                let p = replaced(p, to)?;
                if p.is_everywhere() {
                    return Ok(p);
                }
                any = any.or(p);
            }
            any
        }
    })
}

/// `coordinate + by`.
pub fn offset(c: Coord, by: i64) -> Result<Affine, Overflow> {
    Affine::coord(c).add(&Affine::constant(Dim::constant(by)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_becomes_the_number_of_its_step() {
        let (t, s) = (Coord::Axis(0), Coord::Axis(1));
        let causal = Domain::le(&Affine::coord(s), &Affine::coord(t)).unwrap();
        let to = |c: Coord| match c {
            Coord::Axis(0) => offset(Coord::Of(0), -1).unwrap(),
            c => Affine::coord(c),
        };
        assert_eq!(replaced(&causal, &to).unwrap(), Domain::before_end(1, 0));
        // The step itself is before its own end.
        let real = Domain::before_end(0, 0);
        assert!(replaced(&real, &to).unwrap().is_everywhere());
        assert!(
            replaced(&real.clone().and(causal.clone()).or(real), &to)
                .unwrap()
                .is_everywhere()
        );
        let later = Domain::Not(Box::new(Domain::before_end(0, 0)));
        assert_eq!(replaced(&later, &to).unwrap(), Domain::Any(Vec::new()));
    }
}
