//! Views where their buffers have gone.
//!
//! In: buffers and tasks, and for each buffer that follows another the view in that one that it becomes. Out: the same
//! tasks on the buffers that are left.

use super::access;
use super::program::{Buffer, BufferId, Store, Task, Then, View};
use crate::diagnostics::Diagnostic;

/// Where a view of a buffer is when the whole of the buffer is elsewhere; `None` where that cannot be said.
pub fn inside(v: &View, whole: &View, place: &View) -> Option<View> {
    if place.offset == whole.offset && place.axes == whole.axes {
        return Some(View {
            buffer: place.buffer,
            ..v.clone()
        });
    }
    if v.offset != whole.offset {
        return None;
    }
    let (time, rest) = whole.axes.split_first()?;
    match &v.step {
        None => (v.axes == whole.axes).then(|| place.clone()),
        Some(step) => (*step == time.stride && v.axes == rest).then(|| View {
            step: Some(place.axes[0].stride.clone()),
            axes: place.axes[1..].to_vec(),
            ..place.clone()
        }),
    }
}

/// Puts every view where its buffer has gone, and takes out the buffers that have no memory of their own.
pub fn rewrite(
    buffers: &mut Vec<Buffer>,
    tasks: &mut [Task],
    places: &[Option<View>],
    mut stores: Vec<Vec<Store>>,
) -> Result<Vec<BufferId>, Diagnostic> {
    let mut wholes = Vec::new();
    for (i, b) in buffers.iter().enumerate() {
        wholes.push(View::whole(BufferId(i as u32), &b.shape)?);
    }
    let put = |v: &View| {
        let mut v = v.clone();
        while let Some(place) = &places[v.buffer.0 as usize] {
            let at = inside(&v, &wholes[v.buffer.0 as usize], place);
            v = at.unwrap_or_else(|| unreachable!("a buffer moved with a use that cannot"));
        }
        v
    };
    let mut ids = Vec::new();
    let mut next = 0;
    for place in places {
        ids.push(BufferId(next));
        next += u32::from(place.is_none());
    }
    let new = |v: &View| {
        let v = put(v);
        View {
            buffer: ids[v.buffer.0 as usize],
            ..v
        }
    };
    for task in tasks.iter_mut() {
        access::each(task, &mut |v| *v = new(v));
    }
    for (i, whole) in wholes.iter().enumerate() {
        if places[i].is_some() {
            let at = put(whole);
            let then = Then {
                name: buffers[i].name.clone(),
                stores: std::mem::take(&mut stores[i])
                    .into_iter()
                    .map(|s| Store {
                        to: new(&s.to),
                        ..s
                    })
                    .collect(),
                at: View {
                    buffer: ids[at.buffer.0 as usize],
                    ..at.clone()
                },
            };
            buffers[at.buffer.0 as usize].then.push(then);
        }
    }
    for b in buffers.iter_mut() {
        b.then.sort_by_key(Then::from);
    }
    let mut gone = places.iter().map(Option::is_some);
    buffers.retain(|_| !gone.next().unwrap_or(false));
    Ok(ids)
}
