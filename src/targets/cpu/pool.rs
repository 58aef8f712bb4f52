//! Threads for the kernels: a function of (worker, workers) in, run once on every worker, done when [`Pool::run`]
//! returns.
//!
//! The calling thread is worker 0. The others spin for a moment after each job: while they do, an empty job on two
//! workers takes 0.06 µs on some machines and 0.25 µs on others (`cargo bench --bench kernels`). Then they park, and the
//! next job waits some 10 µs or more for the system to wake them. Which worker does what is the job's own arithmetic
//! ([`super::share`]): nothing is stolen, so no bit depends on timing. (An update of weights is shared piece by piece as
//! workers come, for each number there is its own.)

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How long a waiting thread spins before it parks. A training step of a small model is shorter.
const SPIN: Duration = Duration::from_micros(200);

/// A job as the workers see it; its true lifetime ends when [`Pool::run`] returns.
type Job = &'static (dyn Fn(usize, usize) + Sync);

/// A fixed number of workers.
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Held while a job runs: one at a time.
    turn: Mutex<()>,
}

struct Shared {
    workers: usize,
    /// Jobs begun so far; a worker that has seen fewer has one to do.
    round: AtomicUsize,
    job: UnsafeCell<Option<Job>>,
    /// Threads still at the present job, the caller not counted.
    pending: AtomicUsize,
    /// By thread, the caller not counted: about to park, or parked.
    parked: Vec<AtomicBool>,
    caller_parked: AtomicBool,
    caller: Mutex<Option<Thread>>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
    spin: Duration,
}

// SAFETY: `job` is the one field that is not `Sync`. It is written only by the thread that holds `Pool::turn`, while no
// worker is at a job (`pending` is 0), and read by workers only after `round` has told them of it.
unsafe impl Sync for Shared {}
// SAFETY: a job is `Sync`, so its reference may move between threads.
unsafe impl Send for Shared {}

thread_local! {
    /// Whether this thread is inside a job, of any pool.
    static IN_JOB: Cell<bool> = const { Cell::new(false) };
}

impl Pool {
    /// A pool of `workers` (at least 1), the calling thread among them; 1 starts no thread.
    ///
    /// If the system refuses a thread, the pool has those that it got.
    pub fn new(workers: usize) -> Pool {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        // Spinning pays only where the thread waited for has a core of its own.
        let spin = if workers <= cores {
            SPIN
        } else {
            Duration::ZERO
        };
        let mut workers = workers.max(1);
        loop {
            let pool = Pool::with_spin(workers, spin);
            if pool.threads.len() + 1 == workers {
                return pool;
            }
            workers = pool.threads.len() + 1;
        }
    }

    /// A pool that may have got fewer threads than workers, in which case it cannot be used.
    fn with_spin(workers: usize, spin: Duration) -> Pool {
        let shared = Arc::new(Shared {
            workers,
            round: AtomicUsize::new(0),
            job: UnsafeCell::new(None),
            pending: AtomicUsize::new(0),
            parked: (1..workers).map(|_| AtomicBool::new(false)).collect(),
            caller_parked: AtomicBool::new(false),
            caller: Mutex::new(None),
            panic: Mutex::new(None),
            stop: AtomicBool::new(false),
            spin,
        });
        let threads = (1..workers)
            .map_while(|worker| {
                let shared = Arc::clone(&shared);
                thread::Builder::new()
                    .name(format!("seqc-worker-{worker}"))
                    .spawn(move || work(&shared, worker))
                    .ok()
            })
            .collect();
        Pool {
            shared,
            threads,
            turn: Mutex::new(()),
        }
    }

    /// How many workers a job is given.
    pub fn workers(&self) -> usize {
        self.shared.workers
    }

    /// How long a worker that waits for another spins before it sleeps.
    pub(super) fn spin(&self) -> Duration {
        self.shared.spin
    }

    /// Whether a worker that waits spins at all: whether each can have a core.
    pub(super) fn spins(&self) -> bool {
        !self.shared.spin.is_zero()
    }

    /// Calls `f(worker, workers)` once for every worker in 0..workers and returns when all have finished.
    ///
    /// Inside a job `f` is called as the only worker, on the spot. Another thread's call waits for its turn.
    ///
    /// # Panics
    ///
    /// With the payload of a worker's panic, if any worker panics; the caller's own comes first.
    pub fn run(&self, f: &(dyn Fn(usize, usize) + Sync)) {
        if self.shared.workers == 1 || IN_JOB.get() {
            return f(0, 1);
        }
        let turn = lock(&self.turn);
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. No worker keeps the job: `finish` waits until all are done with it, also
        // when the caller's part panics.
        let job = unsafe { std::mem::transmute::<&(dyn Fn(usize, usize) + Sync), Job>(f) };
        // SAFETY: this thread has the turn, and no worker is at a job.
        unsafe { *shared.job.get() = Some(job) };
        shared.pending.store(self.threads.len(), SeqCst);
        shared.round.fetch_add(1, SeqCst);
        self.wake();
        let mine = run_part(f, 0, shared.workers);
        shared.finish();
        let theirs = lock(&shared.panic).take();
        drop(turn);
        if let Some(payload) = mine.err().or(theirs) {
            resume_unwind(payload);
        }
    }

    /// Whether every worker is at work or spins, so that one more job costs next to nothing.
    pub(super) fn is_awake(&self) -> bool {
        !self.shared.parked.iter().any(|p| p.load(SeqCst))
    }

    /// Lets workers spin again where the last call ended just now: then more follow, with jobs too small to wake them.
    pub(super) fn rouse(&self, ended: Option<Instant>) {
        if !self.is_awake() && ended.is_some_and(|e| e.elapsed() < self.shared.spin) {
            self.wake();
        }
    }

    fn wake(&self) {
        for (parked, thread) in self.shared.parked.iter().zip(&self.threads) {
            if parked.load(SeqCst) {
                thread.thread().unpark();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        self.shared.round.fetch_add(1, SeqCst);
        self.wake();
        for thread in self.threads.drain(..) {
            // A worker catches its jobs' panics and has none of its own.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Waits until no worker is at the job.
    fn finish(&self) {
        if spin_until(self.spin, || self.pending.load(SeqCst) == 0) {
            return;
        }
        *lock(&self.caller) = Some(thread::current());
        self.caller_parked.store(true, SeqCst);
        while self.pending.load(SeqCst) != 0 {
            thread::park();
        }
        self.caller_parked.store(false, SeqCst);
    }

    /// Waits for a job past the `seen`-th, as thread `index`.
    fn await_round(&self, seen: usize, index: usize) {
        while !spin_until(self.spin, || self.round.load(SeqCst) != seen) {
            // Either this thread sees the new round, or the caller, who raises it first, sees this flag and unparks.
            self.parked[index].store(true, SeqCst);
            if self.round.load(SeqCst) == seen {
                thread::park();
            }
            self.parked[index].store(false, SeqCst);
        }
    }
}

/// The life of worker `worker` ≥ 1.
fn work(shared: &Shared, worker: usize) {
    let mut seen = 0;
    loop {
        shared.await_round(seen, worker - 1);
        seen = seen.wrapping_add(1);
        if shared.stop.load(SeqCst) {
            return;
        }
        // SAFETY: the round has come, so the job is written, and it stays until `pending` falls below.
        if let Some(job) = unsafe { *shared.job.get() }
            && let Err(payload) = run_part(job, worker, shared.workers)
        {
            lock(&shared.panic).get_or_insert(payload);
        }
        if shared.pending.fetch_sub(1, SeqCst) == 1
            && shared.caller_parked.load(SeqCst)
            && let Some(caller) = &*lock(&shared.caller)
        {
            caller.unpark();
        }
    }
}

/// One worker's part, its panic caught.
fn run_part(
    f: &(dyn Fn(usize, usize) + Sync),
    worker: usize,
    workers: usize,
) -> Result<(), Box<dyn Any + Send>> {
    IN_JOB.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| f(worker, workers)));
    IN_JOB.set(false);
    result
}

/// Spins for at most `time` until `done`, and says whether it is.
pub(super) fn spin_until(time: Duration, done: impl Fn() -> bool) -> bool {
    const LOOKS: usize = 64;
    if done() {
        return true;
    }
    if time.is_zero() {
        return false;
    }
    // Where threads meet often, the other one comes within less than the clock or a pause take to tell.
    if (0..LOOKS).any(|_| done()) {
        return true;
    }
    let start = Instant::now();
    loop {
        for _ in 0..LOOKS {
            if done() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() >= time {
            return false;
        }
    }
}

/// Locks a mutex whose data no panic can leave half-written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A job in the C calling convention: `(context, worker, workers)`.
pub type Task = unsafe extern "C" fn(*mut u8, usize, usize);

/// [`Pool::run`] for compiled code: calls `task(context, worker, workers)` on every worker of `pool`.
///
/// # Safety
///
/// `pool` is a live pool; `task` may be called with `context` on several threads at once, and does not unwind.
pub unsafe extern "C" fn run_task(pool: *const Pool, task: Task, context: *mut u8) {
    /// A pointer that the caller lets other threads have.
    struct Context(*mut u8);
    // SAFETY: the caller of `run_task` says that the task may use it on several threads.
    unsafe impl Sync for Context {}
    impl Context {
        fn get(&self) -> *mut u8 {
            self.0
        }
    }
    let context = Context(context);
    // SAFETY: the caller says that `pool` is alive.
    let pool = unsafe { &*pool };
    // SAFETY: the caller says that the task may be called so.
    pool.run(&|worker, workers| unsafe { task(context.get(), worker, workers) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_runs_once_a_job() {
        for workers in [1, 2, 5] {
            let pool = Pool::new(workers);
            assert_eq!(pool.workers(), workers);
            let counts: Vec<_> = (0..workers).map(|_| AtomicUsize::new(0)).collect();
            for _ in 0..300 {
                pool.run(&|worker, of| {
                    assert_eq!(of, workers);
                    counts[worker].fetch_add(1, SeqCst);
                });
            }
            assert!(counts.iter().all(|c| c.load(SeqCst) == 300));
        }
    }

    #[test]
    fn parked_workers_wake_and_a_parked_caller_too() {
        let pool = Pool::new(2);
        for late in [0, 1] {
            thread::sleep(Duration::from_millis(5));
            let done = AtomicUsize::new(0);
            pool.run(&|worker, _| {
                if worker == late {
                    thread::sleep(Duration::from_millis(5));
                }
                done.fetch_add(1, SeqCst);
            });
            assert_eq!(done.load(SeqCst), 2);
        }
    }

    #[test]
    fn roused_workers_wait_for_a_while_and_park_again() {
        // No timing is asked for: each state has only to come.
        let comes = |state: &dyn Fn() -> bool| spin_until(Duration::from_secs(60), state);
        let pool = Pool::with_spin(2, Duration::from_millis(1));
        for _ in 0..3 {
            assert!(comes(&|| !pool.is_awake()));
            assert!(comes(&|| {
                pool.rouse(Some(Instant::now()));
                pool.is_awake()
            }));
        }
        let done = AtomicUsize::new(0);
        pool.run(&|_, _| {
            done.fetch_add(1, SeqCst);
        });
        assert_eq!(done.load(SeqCst), 2);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = Pool::new(3);
        for bad in 0..3 {
            let finished = AtomicUsize::new(0);
            let payload = catch_unwind(AssertUnwindSafe(|| {
                pool.run(&|worker, _| {
                    if worker == bad {
                        resume_unwind(Box::new(worker));
                    }
                    finished.fetch_add(1, SeqCst);
                });
            }))
            .unwrap_err();
            assert_eq!(payload.downcast_ref::<usize>(), Some(&bad));
            assert_eq!(finished.load(SeqCst), 2);
        }
        pool.run(&|_, of| assert_eq!(of, 3));
    }

    #[test]
    fn a_job_inside_a_job_runs_on_the_spot() {
        let pool = Pool::new(2);
        let calls = AtomicUsize::new(0);
        pool.run(&|_, _| {
            pool.run(&|worker, of| {
                assert_eq!((worker, of), (0, 1));
                calls.fetch_add(1, SeqCst);
            });
        });
        assert_eq!(calls.load(SeqCst), 2);
    }

    #[test]
    fn threads_take_turns() {
        let pool = Pool::new(2);
        let inside = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        pool.run(&|_, _| {
                            assert!(inside.fetch_add(1, SeqCst) < 2);
                            inside.fetch_sub(1, SeqCst);
                        });
                    }
                });
            }
        });
    }

    #[test]
    fn tasks_in_the_c_convention_run_on_every_worker() {
        unsafe extern "C" fn mark(context: *mut u8, worker: usize, workers: usize) {
            assert_eq!(workers, 2);
            // SAFETY: the context is the two counters below, one a worker.
            unsafe { *context.cast::<usize>().add(worker) += worker + 1 };
        }
        let pool = Pool::new(2);
        let mut marks = [0usize; 2];
        // SAFETY: the pool lives, and each worker writes its own counter.
        unsafe { run_task(&pool, mark, marks.as_mut_ptr().cast()) };
        assert_eq!(marks, [1, 2]);
    }
}
